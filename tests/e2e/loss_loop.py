"""The official client loses its link at random moments while others write: it must not miss a thing.

    python -m tests.e2e.loss_loop --losses 200 --seed 7 --transports websocket

What a phone received, without reading anything over HTTP, is compared with the database's order, what an app
draws of it with what it draws after a reload, and what it shows of agents that begin and stop to think with
the last that these said. Every loss is a TCP connection that is cut wherever it is: between packets, in the
middle of one, during a handshake or an upgrade. The client has its own time-outs: a loss that it does not
notice shows as slow.
"""

import asyncio
import contextlib
import random
import shutil
import sys
import time
from collections.abc import AsyncIterator, Mapping

from msgspec import Struct

from tests.e2e.app_view import Row, drawn
from tests.e2e.beats import Beats
from tests.e2e.program import options, verdict
from tests.e2e.shown import View
from tests.support.api_client import ApiClient
from tests.support.official_client import NodeClient, OfficialSocket
from tests.support.server_process import Server, temporary_home
from tests.support.tcp_proxy import Proxy
from tests.support.until import until

WRITERS = 10
SESSIONS = 3
AGAIN = 0.3
NEWEST = 2**31 - 1
PIECES = (100, 5_000, 60_000)
END_SECONDS = 30.0
SLOW_SECONDS = 5.0
MAX_SECONDS = 90.0
"""A client that receives nothing gives up after 60 s."""

MAX_MISSED = 300
"""Messages that may be on their way: fewer than are kept for a client that was lost."""


class Outcome(Struct):
    """The messages of each session, in the database's order and in that of arrival."""

    written: dict[str, list[str]]
    received: dict[str, list[str]]
    redrawn: list[str]  # sessions that an app draws otherwise after a reload
    connects: int
    recovered: int
    slow: int  # losses from which the client came back late
    states: list[str]  # what the phone showed wrongly, and for good

    def problems(self) -> list[str]:
        return (
            self.states
            + [
                f"{session}: {len(self.received.get(session, []))} messages received, {len(ids)} written"
                for session, ids in self.written.items()
                if self.received.get(session, []) != ids
            ]
            + [f"{session} is drawn otherwise after a reload" for session in self.redrawn]
        )

    @property
    def total(self) -> int:
        return sum(map(len, self.written.values()))


async def run(url: str, *, losses: int, seed: int, transports: list[str]) -> Outcome:
    """Write, and cut the reader's link `losses` times."""
    dice = random.Random(seed)
    async with (
        ApiClient.signed_in(url) as api,
        Proxy(int(url.rpartition(":")[2]), seed, sizes=PIECES) as proxy,
        NodeClient() as client,
    ):
        sessions = [str((await api.create_session())["id"]) for _ in range(SESSIONS)]
        options = {
            "transports": transports,
            "reconnectionDelay": 1,
            "reconnectionDelayMax": 50,
        }
        phone = phone_of(client, api, proxy.url).with_options(**options)
        beats = Beats(agent_of(client, api, sessions[0]), sessions, phone, random.Random(seed))
        async with phone:
            async with writers(dict.fromkeys(sessions, api), dice, phone), beats.going():
                took = [await lose(phone, proxy, dice) for _ in range(losses)]
            slow = sum(seconds > SLOW_SECONDS for seconds in took)
            return await judge(api, phone, sessions, beats.problems, slow=slow)


def phone_of(client: NodeClient, api: ApiClient, url: str) -> OfficialSocket:
    """The app: it relies on what it is replayed."""
    return client.socket(url, token=api.token, clientType="user-scoped", happyClient="web/1.0.0")


def agent_of(client: NodeClient, api: ApiClient, session: str) -> OfficialSocket:
    """A connection that is never cut."""
    auth = {"token": api.token, "clientType": "session-scoped", "sessionId": session}
    return client.socket(api.url, **auth, happyClient="cli-coding-session/1.2.5")


async def lose(phone: OfficialSocket, proxy: Proxy, dice: random.Random) -> float:
    """Cut the link, now and then also while the client comes back, wait until it is; how long it took."""
    start, before = time.monotonic(), lives(phone, "disconnect")
    async with asyncio.timeout(MAX_SECONDS):
        while lives(phone, "disconnect") == before:  # a polling client notices only if it is asking just then
            await asyncio.sleep(dice.uniform(0, 0.12))
            proxy.cut()
            await asyncio.sleep(0.02)
        while dice.random() < AGAIN:
            await asyncio.sleep(dice.uniform(0, 0.02))
            proxy.cut()
        await until(lambda: is_back(phone), END_SECONDS)
    return time.monotonic() - start


def is_back(phone: OfficialSocket) -> bool:
    """The library tells of a disconnect also when it was not connected again yet: the last word counts."""
    received = [life.kind for life in phone.lives if life.kind in {"connect", "disconnect"}]
    return received[-1:] == ["connect"]


def lives(phone: OfficialSocket, kind: str) -> int:
    return sum(life.kind == kind for life in phone.lives)


@contextlib.asynccontextmanager
async def writers(
    sessions: Mapping[str, ApiClient], dice: random.Random, phone: OfficialSocket
) -> AsyncIterator[None]:
    """Ten at once append to the sessions, each by its client, until the end of the block.

    They wait for the phone if it lags: a way back may take a time-out of the client.
    """
    stop, view = asyncio.Event(), View(phone)
    written = 0

    async def write(name: int) -> None:
        nonlocal written
        number = 0
        while not stop.is_set():
            if written - view.look().messages > MAX_MISSED:
                await asyncio.sleep(0.01)
                continue
            texts = [f"{name}-{number}-{'x' * dice.randrange(2000)}" for _ in range(dice.randint(1, 3))]
            session = dice.choice(list(sessions))
            await sessions[session].post_messages(session, texts)
            written += len(texts)
            number += 1
            await asyncio.sleep(dice.uniform(0, 0.1))

    async with asyncio.TaskGroup() as group:
        for name in range(WRITERS):
            group.create_task(write(name))
        yield
        stop.set()


async def judge(
    api: ApiClient, phone: OfficialSocket, sessions: list[str], states: list[str], *, slow: int = 0
) -> Outcome:
    """Wait until the phone knows of as many messages as there are, then a little for what is too much."""
    written = {session: [str(row["id"]) for row in await api.messages(session)] for session in sessions}
    expected = sum(map(len, written.values()))
    with contextlib.suppress(TimeoutError):
        await until(lambda: len(phone.updates("new-message")) >= expected, END_SECONDS)
    await asyncio.sleep(0.3)
    received: dict[str, list[Row]] = {session: [] for session in sessions}
    for body in phone.updates("new-message"):
        received[body["sid"]].append(body["message"])
    redrawn = [session for session in sessions if drawn(received[session]) != await reloaded(api, session)]
    ids = {session: [str(row["id"]) for row in rows] for session, rows in received.items()}
    returns = [life.detail["recovered"] for life in phone.lives if life.kind == "connect"]
    return Outcome(written, ids, redrawn, len(returns), returns.count(True), slow, states)


async def reloaded(api: ApiClient, session: str) -> list[str]:
    """What the app draws of a chat that it opens: the newest page first, then older ones."""
    rows: list[Row] = []
    before, more = NEWEST, True
    while more:
        page = await api.get(f"/v3/sessions/{session}/messages", before_seq=before, limit=100)
        rows += page["messages"]
        more, before = page["hasMore"], min((row["seq"] for row in rows), default=1)
    return drawn(rows)


async def _main(losses: int, seed: int, transports: list[str]) -> int:
    home = temporary_home()
    try:
        async with Server(home) as server:
            outcome = await run(server.url, losses=losses, seed=seed, transports=transports)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    problems = outcome.problems()
    print(
        f"{'-'.join(transports)}, seed {seed}: {losses} losses, {outcome.connects} reconnects, "
        f"{outcome.recovered} recovered, {outcome.slow} slow, {outcome.total} messages, "
        f"{len(problems)} problems"
    )
    if outcome.recovered < outcome.connects:
        problems.append("not every return was a recovery")
    return verdict(problems)


if __name__ == "__main__":
    parser = options(__doc__, "tests.e2e.loss_loop")
    parser.add_argument("--losses", type=int, default=200)
    parser.add_argument("--transports", default="websocket", help="with commas between")
    given = parser.parse_args()
    sys.exit(asyncio.run(_main(given.losses, given.seed, given.transports.split(","))))
