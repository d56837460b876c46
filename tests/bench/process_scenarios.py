"""What a whole process takes: time to start, and many clients at the same moment."""

import asyncio
import shutil
import time

from tests.bench.clients import Clients
from tests.bench.figures import Aim, Figure, percentile
from tests.bench.realtime_scenarios import signed_in
from tests.bench.server import Measured, MeasuredServer, Run, allow_connections
from tests.support.server_process import temporary_home

STARTS = 5
ARRIVALS = 300
STORM = 2000
TIMES = 3
SETTLE_SECONDS = 1.0


async def start(run: Run) -> list[Figure]:
    """Best of several. The first start of all only compiles the bytecode and is not counted."""
    async with run.server():
        pass
    first: list[float] = []
    again: list[float] = []
    for _ in range(STARTS):
        home = temporary_home()
        server = MeasuredServer(home)
        try:
            for measured in (first, again):
                async with server:
                    measured.append(server.start_seconds)
        finally:
            shutil.rmtree(home, ignore_errors=True)
    return [
        Figure(name="start to healthy, empty home", value=min(first), unit="s"),
        Figure(name="start to healthy", value=min(again), unit="s", aim=Aim(1.0, at_least=False)),
    ]


async def arrivals(run: Run) -> list[Figure]:
    return [await arrival(run, ARRIVALS)]


async def storm(run: Run) -> list[Figure]:
    return [await arrival(run, STORM)]


async def arrival(run: Run, count: int) -> Figure:
    """All at once, each from its first packet to the answer that it is connected."""
    allow_connections(count)
    async with signed_in(run) as (server, _, clients):
        await arrive(server, clients, count)
        seen = sorted([await arrive(server, clients, count) for _ in range(TIMES)])
        elapsed, cpu, times = seen[TIMES // 2]
        return Figure(
            name=f"{count:,} connections at once, until the last is in",
            value=elapsed,
            unit="s",
            p50=percentile(times, 0.50) * 1000,
            p99=percentile(times, 0.99) * 1000,
            cpu_us=cpu / count * 1e6,
        )


async def arrive(server: Measured, clients: Clients, count: int) -> tuple[float, float, list[float]]:
    """Seconds until the last is in, the server's CPU seconds, and the seconds of each."""
    cpu, began = server.cpu_seconds(), time.perf_counter()
    times = sorted(await clients.users(count))
    elapsed, cpu = time.perf_counter() - began, server.cpu_seconds() - cpu
    clients.close()
    await asyncio.sleep(SETTLE_SECONDS)
    return elapsed, cpu, times
