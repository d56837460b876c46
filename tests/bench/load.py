"""Closed loops: each caller starts its next operation when the last one is answered."""

import asyncio
import time
from collections.abc import Sequence
from typing import Protocol

from tests.bench.figures import Aim, Figure, percentile
from tests.bench.server import Measured

WARM_UP = 0.5
"""Seconds that do not count: caches fill, connections settle."""


class Caller(Protocol):
    """Calls `Load.done` after every operation, and starts another one unless the load is over."""

    def start(self) -> None: ...


class Load:
    """Counts what its callers do while it runs."""

    def __init__(self, server: Measured, seconds: float) -> None:
        self.over = False
        self._server = server
        self._seconds = seconds
        self._latencies: list[float] = []
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(self, started: float) -> None:
        self._latencies.append(time.perf_counter() - started)

    def fail(self, reason: str) -> None:
        """End the run with an error, unless it has ended anyway."""
        if not self.over and not self._failed.done():
            self._failed.set_exception(RuntimeError(reason))

    async def run(
        self, name: str, callers: Sequence[Caller], *, unit: str, of_each: int = 1, aim: Aim | None = None
    ) -> Figure:
        """Let all callers work; one operation counts as `of_each` of `unit`."""
        for caller in callers:
            caller.start()
        await self._wait(WARM_UP)
        self._latencies.clear()
        began, cpu = time.perf_counter(), self._server.cpu_seconds()
        await self._wait(self._seconds)
        elapsed, cpu = time.perf_counter() - began, self._server.cpu_seconds() - cpu
        self.over = True
        latencies = sorted(self._latencies)
        if not latencies:
            raise RuntimeError(f"{name}: nothing was answered")
        count = len(latencies) * of_each
        return Figure(
            name=name,
            value=count / elapsed,
            unit=unit,
            p50=percentile(latencies, 0.50) * 1000,
            p99=percentile(latencies, 0.99) * 1000,
            cpu_us=cpu / count * 1e6,
            aim=aim,
        )

    async def _wait(self, seconds: float) -> None:
        await asyncio.wait([self._failed], timeout=seconds)
        if self._failed.done():
            self._failed.result()
