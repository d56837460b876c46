"""The official client is sent from replica to replica while others write: it must not miss a thing.

    python -m tests.e2e.roaming_loop --losses 200 --kills 0 --seed 7
    python -m tests.e2e.roaming_loop --losses 200 --kills 20 --seed 7

As in `loss_loop`, what a phone was told, without reading anything over HTTP, is compared with the database's
order, and what it shows of agents with what they said last. Without kills every replica is written to, each
session through one of them. With kills, the phone's replica is killed and started again. Writes then go
through another one: what a replica stored in its last moment may be lost to its clients, who are told to read
again, and this loop would count that as a loss.
"""

import asyncio
import contextlib
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.beats import Beats
from tests.e2e.loss_loop import (
    PIECES,
    SESSIONS,
    Outcome,
    agent_of,
    judge,
    lives,
    lose,
    phone_of,
    writers,
)
from tests.e2e.program import options, verdict
from tests.support.api_client import ApiClient
from tests.support.cluster import Replica, cluster
from tests.support.official_client import NodeClient, OfficialSocket
from tests.support.tcp_proxy import Proxy
from tests.support.until import until

REPLICAS = 3
OPTIONS = {"transports": ["websocket"], "reconnectionDelay": 1, "reconnectionDelayMax": 50}


async def run(folder: Path, *, losses: int, kills: int, seed: int) -> Outcome:
    dice = random.Random(seed)
    async with contextlib.AsyncExitStack() as stack:
        replicas = await stack.enter_async_context(cluster(folder, REPLICAS))
        apis = [await stack.enter_async_context(ApiClient.signed_in(replicas[0].url))]
        for replica in replicas[1:]:
            apis.append(await stack.enter_async_context(ApiClient(replica.url, token=apis[0].token)))
        proxy = await stack.enter_async_context(Proxy(replicas[-1].port, seed, sizes=PIECES))
        client = await stack.enter_async_context(NodeClient())
        sessions = [str((await apis[0].create_session())["id"]) for _ in range(SESSIONS)]
        phone = phone_of(client, apis[0], proxy.url).with_options(**OPTIONS)
        beats = Beats(agent_of(client, apis[0], sessions[0]), sessions, phone, random.Random(seed))
        await stack.enter_async_context(phone)
        through = {session: apis[0 if kills else number] for number, session in enumerate(sessions)}
        async with writers(through, dice, phone), beats.going():
            await roam(phone, proxy, replicas, dice, deaths(losses, kills, dice))
        return await judge(apis[0], phone, sessions, beats.problems)


def deaths(losses: int, kills: int, dice: random.Random) -> list[bool]:
    """In which of the losses the phone's replica dies."""
    fates = [True] * kills + [False] * (losses - kills)
    dice.shuffle(fates)
    return fates


async def roam(
    phone: OfficialSocket,
    proxy: Proxy,
    replicas: Sequence[Replica],
    dice: random.Random,
    fates: Sequence[bool],
) -> None:
    """Cut the link again and again; the way back leads to any replica."""
    at = replicas[-1]
    for dies in fates:
        if dies and at is replicas[0]:
            at = await move(phone, proxy, replicas[1:], dice)
        former, at = at, dice.choice([replica for replica in replicas if replica is not at or not dies])
        proxy.target = at.port
        if dies:
            await kill(former, phone)
            await former.start()
        await lose(phone, proxy, dice)


async def kill(replica: Replica, phone: OfficialSocket) -> None:
    """Returns when the phone has noticed."""
    before = lives(phone, "disconnect")
    replica.kill()
    await until(lambda: lives(phone, "disconnect") != before)


async def move(
    phone: OfficialSocket, proxy: Proxy, replicas: Sequence[Replica], dice: random.Random
) -> Replica:
    chosen = dice.choice(replicas)
    proxy.target = chosen.port
    await lose(phone, proxy, dice)
    return chosen


async def main() -> int:
    parser = options(__doc__, "tests.e2e.roaming_loop")
    parser.add_argument("--losses", type=int, default=200)
    parser.add_argument("--kills", type=int, default=0, help="so many of the losses kill the replica")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="happy-roaming-") as folder:
        outcome = await run(Path(folder), losses=asked.losses, kills=asked.kills, seed=asked.seed)
    print(
        f"seed {asked.seed}: {outcome.total} messages, {outcome.connects} returns, "
        f"{outcome.recovered} recovered, {asked.kills} replicas killed"
    )
    return verdict(outcome.problems())


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
