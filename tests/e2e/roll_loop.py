"""Replicas behind a balancer are replaced one after another (`SIGTERM`); nobody sees more than a reconnect.

`python -m tests.e2e.roll_loop --rounds 1 --seed 7` prints what happened and ends with 1 if a request failed,
a client did not come back by itself, or a process did not end in order and in time.
"""

import argparse
import asyncio
import contextlib
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
from msgspec import Struct, field

from tests.e2e.crowd import Crowd, crowd
from tests.e2e.crowd_writers import Pace
from tests.e2e.program import options, verdict
from tests.support.api_client import ApiClient
from tests.support.balancer import Balancer
from tests.support.cluster import Replica, replicas_on
from tests.support.postgres_server import own_postgres
from tests.support.server_process import temporary_home

EXPECTED = {"transport close", "transport error", "io client disconnect"}
"""Why a client may lose its connection: the library does not come back when the server says goodbye."""

BACK_SECONDS = 5.0


class Outcome(Struct):
    problems: list[str] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    asked: int = 0
    summary: str = ""


async def run(
    folder: Path, database: str, *, replicas: int, sockets: int, rounds: int, seed: int, seconds: int = 20
) -> Outcome:
    """Replace every replica so many times, each with `seconds` to end."""
    outcome = Outcome()
    variables = {"HAPPY_SHUTDOWN_SECONDS": str(seconds)}
    async with (
        replicas_on(database, folder, replicas, variables=variables) as running,
        Balancer([replica.port for replica in running]) as balancer,
        crowd(balancer.url, sockets=sockets, seed=seed, pace=Pace(patient=False)) as many,
    ):
        async with many.traffic(), calling(many, outcome):
            for replica in [*running] * rounds:
                await asyncio.sleep(1)
                await replace(replica, many, seconds, outcome)
        await many.nudge()
        outcome.problems += await many.problems()
        outcome.problems += strangenesses(many)
        outcome.summary = many.summary()
    return outcome


async def replace(replica: Replica, many: Crowd, seconds: int, outcome: Outcome) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    code = await replica.stop()
    took = loop.time() - began
    outcome.took.append(took)
    if code != 0:
        outcome.problems.append(f"{replica.url} ended with {code}")
    if took > seconds:
        outcome.problems.append(f"{replica.url} took {took:.1f} s to end")
    await asyncio.sleep(BACK_SECONDS / 5)
    offline = [device.name for device in many.devices if not device.online]
    if offline:
        outcome.problems.append(f"{len(offline)} clients are not back")
    await replica.start()


@contextlib.asynccontextmanager
async def calling(many: Crowd, outcome: Outcome) -> AsyncIterator[None]:
    """Every household reads all the time, over connections that are kept, some busy and some mostly idle."""
    over = asyncio.Event()
    pauses = (0.02, 0.3, 2.0)
    async with asyncio.TaskGroup() as group:
        for household in many.households:
            for pause in pauses:
                group.create_task(_ask(household.api, pause, over, outcome))
        yield
        over.set()


async def _ask(account: ApiClient, pause: float, over: asyncio.Event, outcome: Outcome) -> None:
    async with ApiClient(account.url, token=account.token) as api:
        while not over.is_set():
            outcome.asked += 1
            try:
                response = await api.request("GET", "/v1/machines")
            except httpx.TransportError as error:
                outcome.problems.append(f"a request every {pause} s failed: {error!r}")
            else:
                if response.status_code != 200:
                    outcome.problems.append(f"a request was answered {response.status_code} {response.text}")
            await asyncio.sleep(pause)


def strangenesses(many: Crowd) -> list[str]:
    """Requests of the writers that failed, and connections that were not just closed."""
    breaks: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for household in many.households:
        breaks += household.ledger.breaks
        for device in household.devices:
            reasons += device.reasons
    found = [f"{count} posts failed: {how}" for how, count in breaks.items()]
    return found + [
        f"{count} clients lost their connection because of {reason!r}"
        for reason, count in reasons.items()
        if reason not in EXPECTED
    ]


def _arguments() -> argparse.Namespace:
    parser = options(__doc__, "tests.e2e.roll_loop")
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--sockets", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=20, help="HAPPY_SHUTDOWN_SECONDS")
    return parser.parse_args()


async def main() -> int:
    given = _arguments()
    folder = temporary_home()
    with own_postgres() as postgres:
        outcome = await run(
            folder,
            postgres.url,
            replicas=given.replicas,
            sockets=given.sockets,
            rounds=given.rounds,
            seed=given.seed,
            seconds=given.seconds,
        )
    slowest = max(outcome.took)
    print(
        f"seed {given.seed}: {len(outcome.took)} replicas replaced, "
        f"each within {slowest:.1f} of {given.seconds} s"
    )
    print(f"  {outcome.asked} reads besides; {outcome.summary}")
    return verdict(outcome.problems, folder)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
