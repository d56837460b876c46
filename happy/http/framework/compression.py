"""Compressed copies of static files, each made once and kept in memory within a bound."""

import asyncio
import gzip
import os
from collections.abc import Mapping
from pathlib import Path

from happy.limits import limit

MIN_FILE_BYTES = 1024
MAX_FILE_BYTES = limit(
    64 * 1024 * 1024,
    "bytes of a file of the web app that is kept compressed",
    per="file",
    then="sent as it is",
)
MAX_KEPT_BYTES = limit(
    24 * 1024 * 1024,
    "bytes of compressed files of the web app in memory",
    per="replica",
    then="others are sent as they are",
)
WORTH_IT = 0.9
LEVEL = 6

Version = tuple[int, int]
"""Size in bytes and time of change in ns: a file that was replaced is another."""


class CompressedFiles:
    """Gzip copies of files whose content is the same for everybody; never of what clients encrypt."""

    def __init__(self, max_kept_bytes: int = MAX_KEPT_BYTES) -> None:
        self._max_kept_bytes = max_kept_bytes
        self._kept_bytes = 0
        self._copies: dict[Path, tuple[Version, asyncio.Future[bytes | None]]] = {}

    async def gzipped(self, file: Path, status: os.stat_result) -> bytes | None:
        """The copy, made on the first call; None where it would not be worth it or there is no room."""
        version = (status.st_size, status.st_mtime_ns)
        known = self._copies.get(file)
        if known is not None and known[0] == version:
            return await asyncio.shield(known[1])
        if not MIN_FILE_BYTES <= status.st_size <= MAX_FILE_BYTES:
            return None
        copy: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._drop(file)
        self._copies[file] = (version, copy)
        copy.set_result(await self._compress(file))
        return copy.result()

    async def _compress(self, file: Path) -> bytes | None:
        """None also for a file that has just gone: the next read of it fails with its own error."""
        try:
            copy = await asyncio.to_thread(_compress, file)
        except OSError:
            return None
        if copy is None or self._kept_bytes + len(copy) > self._max_kept_bytes:
            return None
        self._kept_bytes += len(copy)
        return copy

    def _drop(self, file: Path) -> None:
        known = self._copies.pop(file, None)
        if known is not None and known[1].done() and (copy := known[1].result()) is not None:
            self._kept_bytes -= len(copy)


def _compress(file: Path) -> bytes | None:
    content = file.read_bytes()
    copy = gzip.compress(content, LEVEL, mtime=0)
    return copy if len(copy) < len(content) * WORTH_IT else None


def accepts_gzip(headers: Mapping[bytes, bytes]) -> bool:
    """Whether `Accept-Encoding` names gzip, and not with a weight of 0."""
    for offer in headers.get(b"accept-encoding", b"").lower().split(b","):
        coding, _, weight = offer.partition(b";")
        if coding.strip() == b"gzip":
            return weight.replace(b" ", b"").rstrip(b".0") not in {b"q=", b"q"}
    return False
