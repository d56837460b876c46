"""What a server takes while it runs, looked at every second: memory, disk, and what it complains about."""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from statistics import fmean, linear_regression

import asyncpg
from msgspec import Struct, field

from tests.attack.bystander import resident_mb
from tests.support.server_process import Server

SAMPLE_SECONDS = 1.0
MB = 1_000_000
TICKS = os.sysconf("SC_CLK_TCK")
ERROR, WARNING = " error ", " warning "


class Watch(Struct):
    """`memory` in MB, a sample each second; `disk`, `log` in MB and `cpu` in s, before and after."""

    memory: list[float] = field(default_factory=list)
    disk: list[float] = field(default_factory=list)
    log: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """MB that memory grew by over the second half, as a line through its samples says."""
        half = self.memory[len(self.memory) // 2 :]
        if len(half) < 2:
            return 0.0
        return linear_regression(range(len(half)), half).slope * len(half)

    def __str__(self) -> str:
        half = self.memory[len(self.memory) // 2 :]
        return (
            f"memory: at most {max(self.memory):.0f} MB, {fmean(half):.0f} MB in the second half, "
            f"in which it grew by {self.growth:+.1f} MB; database and files {_from_to(self.disk)}, "
            f"log {_from_to(self.log)}; {self.cpu[-1] - self.cpu[0]:.0f} s of CPU"
        )


def _from_to(sizes: Sequence[float]) -> str:
    return f"from {sizes[0]:.1f} to {sizes[-1]:.1f} MB"


@contextlib.asynccontextmanager
async def watched(server: Server) -> AsyncIterator[Watch]:
    watch = Watch()
    over = asyncio.Event()
    task = asyncio.create_task(_sample(server, watch, over))
    try:
        await _measure(server, watch)
        yield watch
        await _measure(server, watch)
    finally:
        over.set()
        await task


async def _sample(server: Server, watch: Watch, over: asyncio.Event) -> None:
    while not over.is_set():
        watch.memory.append(resident_mb(server))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), SAMPLE_SECONDS)


async def _measure(server: Server, watch: Watch) -> None:
    assert server.process is not None
    watch.cpu.append(cpu_seconds(server.process.pid))
    watch.log.append(server.log.stat().st_size / MB)
    watch.disk.append((_folder_size(_folder(server)) + await _database_size(server)) / MB)


def _folder(server: Server) -> Path:
    return server.database.parent if server.flavor == "light" else Path(server.variables["DATA_DIR"])


def _folder_size(folder: Path) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += (Path(root) / name).stat().st_size
    return total


async def _database_size(server: Server) -> int:
    if server.flavor == "light":
        return 0
    connection = await asyncpg.connect(server.variables["DATABASE_URL"])
    try:
        return int(await connection.fetchval("SELECT pg_database_size(current_database())"))
    finally:
        await connection.close()


def cpu_seconds(process: int | None) -> float:
    """What the process has spent until now; 0 when it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def complaints(log: str, level: str) -> Counter[str]:
    """Lines of that level by what they say, without what changes from line to line."""
    found: Counter[str] = Counter()
    for line in log.splitlines():
        head, mark, text = line.partition(level)
        if mark and len(head) < 40:
            found[
                " ".join(
                    word for word in text.split()[:9] if "=" not in word and not any(map(str.isdigit, word))
                )
            ] += 1
    return found
