"""Thousands of clients that say nothing: what each costs, and what it costs to be one more."""

import asyncio
import time
from statistics import median

from tests.bench.clients import Clients
from tests.bench.figures import RATIO, Aim, Figure
from tests.bench.process_scenarios import SETTLE_SECONDS
from tests.bench.realtime_scenarios import signed_in
from tests.bench.server import MeasuredServer, Run, allow_connections

CROWD = 5000
PING_SECONDS = 15
"""Every connection is asked for a sign of life so often."""

ARRIVING = 100
"""How many of the crowd come together. The crowd takes a whole interval, so that its pings are as spread."""

VISITORS = 200
VISITS = 7
WINDOW_SECONDS = 2 * PING_SECONDS


async def idle(run: Run) -> list[Figure]:
    """The crowd is at one of two servers; newcomers come to both, turn by turn."""
    allow_connections(CROWD + VISITORS)
    async with signed_in(run) as (empty, _, to_empty), signed_in(run) as (full, _, to_full):
        before = full.resident_kb()
        crowd = Clients(full.port, to_full.token)
        await gather(crowd)
        each = (full.resident_kb() - before) / CROWD
        share = await cpu_share(full)
        alone, among = await costs([(empty, to_empty, 0.0), (full, to_full, share)])
        crowd.close()
    return [
        Figure(name="resident memory, idle", value=before / 1024, unit="MB", aim=Aim(90.0, at_least=False)),
        Figure(
            name=f"memory of an idle connection, of {CROWD:,}",
            value=each,
            unit="KB",
            aim=Aim(15.0, at_least=False),
        ),
        Figure(
            name=f"{CROWD:,} idle connections, heartbeats included",
            value=share * 100,
            unit="% of a core",
            aim=Aim(5.0, at_least=False),
        ),
        *compared("connect", alone[0], among[0]),
        *compared("disconnect", alone[1], among[1]),
    ]


async def gather(crowd: Clients) -> None:
    groups = CROWD // ARRIVING
    began = time.perf_counter()
    for group in range(1, groups + 1):
        await crowd.users(ARRIVING)
        await asyncio.sleep(began + group * PING_SECONDS / groups - time.perf_counter())
    await asyncio.sleep(SETTLE_SECONDS)


async def cpu_share(server: MeasuredServer) -> float:
    cpu, began = server.cpu_seconds(), time.perf_counter()
    await asyncio.sleep(WINDOW_SECONDS)
    return (server.cpu_seconds() - cpu) / (time.perf_counter() - began)


Measured = tuple[MeasuredServer, Clients, float]
"""With the share of a core that its crowd takes anyway."""

Cost = tuple[float, float]
"""CPU us of the server for a connect and for a disconnect."""


async def costs(servers: list[Measured]) -> list[Cost]:
    rounds: list[list[Cost]] = [[] for _ in servers]
    for _ in range(VISITS):
        for measured, seen in zip(servers, rounds, strict=True):
            seen.append(await connect_and_disconnect(*measured))
    return [(median(cost[0] for cost in seen), median(cost[1] for cost in seen)) for seen in rounds]


async def connect_and_disconnect(server: MeasuredServer, newcomers: Clients, share: float) -> Cost:
    def used() -> float:
        return server.cpu_seconds() - share * time.perf_counter()

    begin = used()
    await newcomers.users(VISITORS)
    middle = used()
    newcomers.close()
    await asyncio.sleep(SETTLE_SECONDS / 4)
    return (middle - begin) / VISITORS * 1e6, (used() - middle) / VISITORS * 1e6


def compared(name: str, alone: float, among: float) -> list[Figure]:
    return [
        Figure(name=f"{name}, nobody else connected", value=alone, unit="CPU us"),
        Figure(name=f"{name}, {CROWD:,} others connected", value=among, unit="CPU us"),
        Figure(
            name=f"{name}, the latter over the former",
            value=among / alone,
            unit=RATIO,
            aim=Aim(1.25, at_least=False),
        ),
    ]
