"""Server processes under measurement: how soon they answer, and what they cost."""

import asyncio
import os
import resource
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from tests.support.databases import new_database
from tests.support.server_process import START_TIMEOUT, Server, temporary_home
from tests.support.services import REDIS

HEALTH = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
HEALTHY = b"HTTP/1.1 200 "
POLL_SECONDS = 0.002
SPARE_FILES = 500
"""What a process opens besides its connections, and more than that."""

Flavor = Literal["light", "full"]


class LeftOut(Exception):
    """This machine cannot run the scenario; the message says what is missing."""


class Measured(Protocol):
    """A process, or several together."""

    def cpu_seconds(self) -> float: ...


def cpu_seconds(pid: int) -> float:
    """What a process has used so far, all threads, in the clock that Linux has for it.

    The counters in /proc have steps of 10 ms.
    """
    return time.clock_gettime((~pid << 3) | 2)


class Together:
    """Several servers as one: what they cost is the sum."""

    def __init__(self, *servers: Measured) -> None:
        self._servers = servers

    def cpu_seconds(self) -> float:
        return sum(server.cpu_seconds() for server in self._servers)


class MeasuredServer(Server):
    """One whose start is watched closely enough to be measured."""

    started = 0.0
    healthy = 0.0

    def __init__(
        self, home: Path, *, flavor: Flavor = "light", variables: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(home, flavor=flavor)
        self._variables = variables or {}

    def environment(self) -> dict[str, str]:
        """The variables of the server's process, to look at its database from outside."""
        return self._environment()

    def _environment(self) -> dict[str, str]:
        return {**super()._environment(), "DATA_DIR": str(self.home), **self._variables}

    async def start(self) -> None:
        self.started = time.perf_counter()
        await super().start()

    @property
    def start_seconds(self) -> float:
        """From the start of the process to the first healthy answer."""
        return self.healthy - self.started

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.pid)

    def resident_kb(self) -> float:
        for entry in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if entry.startswith("VmRSS:"):
                return float(entry.split()[1])
        raise RuntimeError("the kernel does not say how much memory is resident")

    @property
    def pid(self) -> int:
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


class Run(msgspec.Struct, frozen=True):
    """How long each load lasts, and on what kind of server; `messages` and `rest` are those of `growth`."""

    seconds: float
    flavor: Flavor = "light"
    messages: int = 1_000_000
    rest: float = 60.0

    @property
    def light(self) -> bool:
        return self.flavor == "light"

    @asynccontextmanager
    async def server(self) -> AsyncIterator[MeasuredServer]:
        """A server with nothing stored, gone afterwards with all it stored."""
        async with self.servers(1) as (server,):
            yield server

    @asynccontextmanager
    async def servers(self, count: int) -> AsyncIterator[Sequence[MeasuredServer]]:
        """Several on the same database: replicas, as far as the flavor has them."""
        folder = temporary_home()
        try:
            async with self._variables() as variables:
                servers = [
                    MeasuredServer(folder / f"{number}", flavor=self.flavor, variables=variables)
                    for number in range(count)
                ]
                try:
                    for server in servers:
                        await server.start()
                    yield servers
                finally:
                    for server in servers:
                        server.kill()
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @asynccontextmanager
    async def _variables(self) -> AsyncIterator[Mapping[str, str]]:
        if self.light:
            yield {}
            return
        async with new_database() as url:
            yield {"DATABASE_URL": url, "REDIS_URL": REDIS, "HANDY_MASTER_SECRET": "a secret for figures"}


def allow_connections(count: int) -> None:
    """Let this process, and the servers that it starts from now on, open so many. Raises LeftOut."""
    needed = count + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise LeftOut(f"{needed:,} open files are needed and {hard:,} allowed: try `ulimit -n {needed}`")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


@contextmanager
def one_core(*pids: int) -> Iterator[None]:
    """The last core is theirs, in turns; the load, which is this process, keeps to the others, if any."""
    cores = os.sched_getaffinity(0)
    last = max(cores)
    for pid in pids:
        pin(pid, last)
    os.sched_setaffinity(0, cores - {last} or cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def pin(pid: int, core: int) -> None:
    """Keep a process on one core, with all threads it has and will have."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})
