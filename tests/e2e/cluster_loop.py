"""Replicas behind a balancer are killed (`kill -9`) one after another while 200 clients do what clients do.

`python -m tests.e2e.cluster_loop --seconds 60 --seed 7` prints what happened and ends with 1 if something was
lost, repeated, out of order, or left hanging.
"""

import argparse
import asyncio
import random
import sys
import time
from pathlib import Path

from msgspec import Struct, field

from tests.e2e.crowd import Crowd, crowd
from tests.e2e.crowd_writers import Pace
from tests.e2e.program import options, verdict
from tests.support.balancer import Balancer
from tests.support.cluster import Replica, replicas_on
from tests.support.postgres_server import own_postgres
from tests.support.server_process import temporary_home

HUSH = 0.5
"""How often everybody stops writing at a kill, so that no later message tells of the last one."""


class Outcome(Struct):
    """`stayed`: how many clients kept their connection at the kills at which nobody wrote any more."""

    problems: list[str] = field(default_factory=list)
    kills: int = 0
    moved: int = 0
    hushes: int = 0
    stayed: int = 0
    complete_after: float = 0.0
    summary: str = ""


async def run(
    folder: Path,
    database: str,
    *,
    replicas: int,
    sockets: int,
    seconds: float,
    seed: int,
    pace: Pace | None = None,
) -> Outcome:
    """Start everything, disturb it for so long, and compare what clients have with what is stored."""
    chance = random.Random(seed)
    outcome = Outcome()
    async with (
        replicas_on(database, folder, replicas) as running,
        Balancer([replica.port for replica in running]) as balancer,
        crowd(balancer.url, sockets=sockets, seed=seed, pace=pace) as many,
    ):
        async with many.traffic():
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                for replica in running:
                    await disturb(many, replica, balancer, chance, outcome)
        await many.nudge()
        outcome.problems += await many.problems()
        outcome.summary, outcome.complete_after = many.summary(), many.complete_after
    return outcome


async def disturb(
    many: Crowd, replica: Replica, balancer: Balancer, chance: random.Random, outcome: Outcome
) -> None:
    """Kill a replica, start it again, and let some clients find their way to it."""
    await asyncio.sleep(chance.uniform(0.5, 2.5))
    hush = chance.random() < HUSH
    if hush:
        many.gate.shut()
    before = {device: device.losses for device in many.devices}
    replica.kill()
    outcome.kills += 1
    if hush:
        await many.gate.quiet()
        outcome.hushes += 1
        outcome.problems += [f"at kill {outcome.kills}: {late}" for late in await many.late()]
        outcome.stayed += sum(device.losses == losses for device, losses in before.items())
        many.gate.open()
    await asyncio.sleep(chance.uniform(0, 1))
    await replica.start()
    await asyncio.sleep(chance.uniform(0.3, 1))
    outcome.moved += balancer.move(0.3, chance)


def _arguments() -> argparse.Namespace:
    parser = options(__doc__, "tests.e2e.cluster_loop")
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--sockets", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
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
            seconds=given.seconds,
            seed=given.seed,
        )
    print(
        f"seed {given.seed}: {outcome.kills} kills of {given.replicas} replicas, "
        f"{outcome.moved} connections moved"
    )
    print(f"  {outcome.summary}")
    print(
        f"  at {outcome.hushes} kills all stopped writing; {outcome.stayed} clients kept their connection, "
        f"the last had everything {outcome.complete_after:.1f} s after the last answer"
    )
    return verdict(outcome.problems, folder)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
