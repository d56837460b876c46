"""A server process under measurement: how soon it answers, and what it costs."""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.e2e.server import START_TIMEOUT, Server, temporary_home

HEALTH = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
HEALTHY = b"HTTP/1.1 200 "
POLL_SECONDS = 0.002
TICKS = os.sysconf("SC_CLK_TCK")


class MeasuredServer(Server):
    """One whose start is watched closely enough to be measured."""

    started = 0.0
    healthy = 0.0

    async def start(self) -> None:
        self.started = time.perf_counter()
        await super().start()

    @property
    def start_seconds(self) -> float:
        """From the start of the process to the first healthy answer."""
        return self.healthy - self.started

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        user, system = fields[11:13]
        return (int(user) + int(system)) / TICKS

    def resident_mb(self) -> float:
        for entry in Path(f"/proc/{self._pid}/status").read_text().splitlines():
            if entry.startswith("VmRSS:"):
                return int(entry.split()[1]) / 1024
        raise RuntimeError("the kernel does not say how much memory is resident")

    @property
    def _pid(self) -> int:
        assert self.process is not None, "not running"
        return self.process.pid

    async def _wait_until_healthy(self) -> None:
        while not await self._is_healthy():
            assert self.process is not None
            if self.process.poll() is not None or time.perf_counter() - self.started > START_TIMEOUT:
                raise RuntimeError(f"the server did not start:\n{self.log_text()}")
            await asyncio.sleep(POLL_SECONDS)
        self.healthy = time.perf_counter()

    async def _is_healthy(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        try:
            writer.write(HEALTH)
            return (await reader.read(len(HEALTHY))) == HEALTHY
        except OSError:
            return False
        finally:
            writer.close()


@asynccontextmanager
async def fresh_server() -> AsyncIterator[MeasuredServer]:
    """A server on an empty home that is gone afterwards."""
    home = temporary_home()
    try:
        async with MeasuredServer(home) as server:
            yield server
    finally:
        shutil.rmtree(home, ignore_errors=True)
