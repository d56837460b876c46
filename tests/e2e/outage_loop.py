"""PostgreSQL, Redis and both are stopped and started again under load; the servers are not touched.

`python -m tests.e2e.outage_loop --seconds 10 --seed 7` starts its own PostgreSQL and Redis, prints what
happened and ends with 1 if something acknowledged was lost, a request hung, or `/health` was not truthful.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from msgspec import Struct, field

from tests.e2e.crowd import Crowd, crowd
from tests.e2e.crowd_writers import Pace
from tests.e2e.program import options, verdict
from tests.support.balancer import Balancer, health, is_healthy
from tests.support.cluster import Replica, replicas_on
from tests.support.postgres_server import OwnPostgres, own_postgres
from tests.support.redis_server import OwnRedis, Wire, own_redis

POSTGRES, REDIS = "PostgreSQL", "Redis"


class Outage(Struct, frozen=True):
    """What is away, and how: stopped (a crash, and a start), or silent (a network that swallows all)."""

    services: tuple[str, ...]
    silent: bool = False

    def __str__(self) -> str:
        return f"{' and '.join(self.services)} {'silent' if self.silent else 'stopped'}"


OUTAGES = tuple(
    Outage(services, silent)
    for silent in (False, True)
    for services in ((POSTGRES,), (REDIS,), (POSTGRES, REDIS))
)
PACE = Pace(refusals=True, patient=False, slowest=17.0, acknowledged=60.0)
"""A request may wait 5 s for a connection or for others, and 10 s for an answer; events wait their turn."""

BEFORE, AFTER = 3.0, 3.0
STUCK_SECONDS = 12.0
"""A commit that was stuck on its way may have been made late; until then everybody has read again."""

NOTICED_SECONDS, SILENCE_SECONDS = 1.0, 6.0
"""After how long a replica must have noticed that something was stopped, or is silent."""

RECOVERED_SECONDS = 5.0
HEALTH_SECONDS = 6.0
REUNITED_SECONDS = 4.0
"""How long after an outage of Redis the last replica may come back to it."""


class Outcome(Struct):
    """`lost`: how many connections were closed because of an outage; `recovered`: s until all was well."""

    problems: list[str] = field(default_factory=list)
    lost: dict[str, int] = field(default_factory=dict)
    recovered: dict[str, float] = field(default_factory=dict)
    summary: str = ""


class World:
    """What the proof stops, and what it watches."""

    def __init__(
        self,
        services: Mapping[str, OwnPostgres | OwnRedis],
        wires: Mapping[str, Wire],
        replicas: list[Replica],
        many: Crowd,
    ) -> None:
        self._services = services
        self._wires = wires
        self._replicas = replicas
        self._many = many
        self.outcome = Outcome()

    async def outage(self, outage: Outage, seconds: float) -> None:
        """Stop, watch, start, and wait until all is well again."""
        name, loop = str(outage), asyncio.get_running_loop()
        losses = {device: device.losses for device in self._many.devices}
        await self._begin(outage)
        self._many.calls.disrupted()
        noticed = SILENCE_SECONDS if outage.silent else NOTICED_SECONDS
        await asyncio.sleep(noticed)
        until = loop.time() + seconds - noticed
        while loop.time() < until:
            await self._ask_for_health(outage)
            await asyncio.sleep(0.3)
        await self._end(outage)
        if REDIS in outage.services:
            self._many.calls.were_apart(loop.time() - seconds, loop.time() + REUNITED_SECONDS)
        await self._recovery(name)
        await asyncio.sleep(STUCK_SECONDS if outage.silent and POSTGRES in outage.services else AFTER)
        self._many.gate.shut()
        await self._many.gate.quiet()
        self.outcome.problems += [f"after {name}: {late}" for late in await self._many.late()]
        self.outcome.lost[name] = sum(device.losses - before for device, before in losses.items())
        self._many.gate.open()

    async def _begin(self, outage: Outage) -> None:
        if outage.silent:
            for one in outage.services:
                self._wires[one].hold()
        else:
            stops = (self._services[one].stop for one in outage.services)
            await asyncio.gather(*map(asyncio.to_thread, stops))

    async def _end(self, outage: Outage) -> None:
        if outage.silent:
            for one in outage.services:
                self._wires[one].release()
        else:
            starts = (self._services[one].start for one in outage.services)
            await asyncio.gather(*map(asyncio.to_thread, starts))

    async def _ask_for_health(self, outage: Outage) -> None:
        """Without PostgreSQL no client can be served; without Redis each replica serves its own."""
        expected = (503 if POSTGRES in outage.services else 200, REDIS in outage.services)
        for replica in self._replicas:
            reported = await health(replica.port, HEALTH_SECONDS)
            if expected != (reported.status, reported.says.get("redis") == "unavailable"):
                said = f"{reported.status} {reported.says} after {reported.took:.1f} s"
                self.outcome.problems.append(f"{outage}, and /health said {said}")

    async def _recovery(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for replica in self._replicas:
            while not await is_healthy(replica.port):
                if loop.time() > began + RECOVERED_SECONDS:
                    self.outcome.problems.append(f"{name} is back, and {replica.url} is not well")
                    return
                await asyncio.sleep(0.05)
        self.outcome.recovered[name] = loop.time() - began


async def run(*, sockets: int, seconds: float, seed: int, outages: Sequence[Outage] = OUTAGES) -> Outcome:
    """One outage after the other, in one life of the servers."""
    async with world(sockets, seed) as (around, many):
        async with many.traffic():
            for outage in outages:
                await asyncio.sleep(BEFORE)
                await around.outage(outage, seconds)
        await many.nudge()
        around.outcome.problems += await many.problems()
        around.outcome.summary = many.summary()
    return around.outcome


@asynccontextmanager
async def world(sockets: int, seed: int) -> AsyncIterator[tuple[World, Crowd]]:
    async with AsyncExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="happy-outage-"))
        stack.callback(shutil.rmtree, folder)
        postgres = stack.enter_context(own_postgres())
        redis = stack.enter_context(own_redis(folder))
        services: dict[str, OwnPostgres | OwnRedis] = {POSTGRES: postgres, REDIS: redis}
        wires = {name: await stack.enter_async_context(Wire(one.port)) for name, one in services.items()}
        url = postgres.url.replace(str(postgres.port), str(wires[POSTGRES].port))
        replicas = await stack.enter_async_context(replicas_on(url, folder, 2, wires[REDIS].url))
        balancer = await stack.enter_async_context(Balancer([replica.port for replica in replicas]))
        many = await stack.enter_async_context(crowd(balancer.url, sockets=sockets, seed=seed, pace=PACE))
        yield World(services, wires, replicas, many), many


def _arguments() -> argparse.Namespace:
    parser = options(__doc__, "tests.e2e.outage_loop")
    parser.add_argument("--sockets", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10, help="how long each outage lasts")
    return parser.parse_args()


async def main() -> int:
    given = _arguments()
    outcome = await run(sockets=given.sockets, seconds=given.seconds, seed=given.seed)
    print(f"seed {given.seed}: outages of {given.seconds} s")
    print(f"  {outcome.summary}")
    for name, lost in outcome.lost.items():
        recovered = outcome.recovered.get(name, float("nan"))
        print(f"  {name}: well again after {recovered:.2f} s, {lost} connections started over")
    return verdict(outcome.problems)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
