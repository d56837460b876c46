"""What a whole process takes: time to start, memory, and many clients at the same moment."""

import asyncio
import shutil
import time

from tests.api_client import ApiClient
from tests.bench.figures import Aim, Figure, percentile
from tests.bench.http_scenarios import token
from tests.bench.raw_socket import RawSocket, connect
from tests.bench.server import MeasuredServer, fresh_server
from tests.e2e.server import temporary_home

STARTS = 5
STORM = 300
IDLE_SOCKETS = 1000
CONNECT_SECONDS = 60
SETTLE_SECONDS = 1.0


async def start(seconds: float) -> list[Figure]:
    """Best of several. The first start of all only compiles the bytecode and is not counted."""
    async with fresh_server():
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


async def memory(seconds: float) -> list[Figure]:
    async with fresh_server() as server, ApiClient.signed_in(server.url) as api:
        await asyncio.sleep(SETTLE_SECONDS)
        idle = server.resident_mb()
        sockets = await open_sockets(server.port, token(api), IDLE_SOCKETS)
        await asyncio.sleep(SETTLE_SECONDS)
        grown = server.resident_mb() - idle
        close(sockets)
        return [
            Figure(name="resident memory, idle", value=idle, unit="MB", aim=Aim(90.0, at_least=False)),
            Figure(name=f"resident memory per {IDLE_SOCKETS:,} idle sockets", value=grown, unit="MB"),
        ]


async def storm(seconds: float) -> list[Figure]:
    """All at once, each from its first packet to the answer that it is connected."""
    async with fresh_server() as server, ApiClient.signed_in(server.url) as api:
        close(await open_sockets(server.port, token(api), STORM))
        await asyncio.sleep(SETTLE_SECONDS)
        times: list[float] = []
        cpu, began = server.cpu_seconds(), time.perf_counter()
        close(await open_sockets(server.port, token(api), STORM, times))
        elapsed, cpu = time.perf_counter() - began, server.cpu_seconds() - cpu
        times.sort()
        figure = Figure(
            name=f"{STORM} connections at once, until the last is in",
            value=elapsed,
            unit="s",
            p50=percentile(times, 0.50) * 1000,
            p99=percentile(times, 0.99) * 1000,
            cpu_us=cpu / STORM * 1e6,
        )
        return [figure]


async def open_sockets(
    port: int, token: str, count: int, times: list[float] | None = None
) -> list[RawSocket]:
    async def one() -> RawSocket:
        began = time.perf_counter()
        socket = await connect(port, token=token, clientType="user-scoped")
        if times is not None:
            times.append(time.perf_counter() - began)
        return socket

    async with asyncio.timeout(CONNECT_SECONDS):
        return await asyncio.gather(*(one() for _ in range(count)))


def close(sockets: list[RawSocket]) -> None:
    for socket in sockets:
        socket.close()
