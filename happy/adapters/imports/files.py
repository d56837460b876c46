"""Uploaded files of a source: those of accounts that are taken are copied, and none is replaced."""

import asyncio
import hashlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from happy.adapters.disk_files import DiskFiles
from happy.adapters.imports.loading import Loading
from happy.domain.errors import NotFound
from happy.domain.ports.filestore import FileStore
from happy.domain.progress import Progress, Step
from happy.settings import S3

CHUNK: Final = 256 * 1024
OWNER_OF_SESSION: Final = 'SELECT "accountId" FROM "Session" WHERE "id" = ?'
PICTURES: Final = ("public", "users")
ATTACHMENTS: Final = "sessions"
PARTS: Final = 3
"""Of a key, at least."""


class FoundFile(NamedTuple):
    """A file of the source; its contents are read at most once."""

    key: str
    size: int
    chunks: AsyncIterator[bytes]


class FileLoading:
    """`copy` is false for a dry run."""

    def __init__(
        self,
        source: sqlite3.Connection,
        loading: Loading,
        target: FileStore,
        progress: Progress,
        *,
        copy: bool,
    ) -> None:
        self._source = source
        self._loading = loading
        self._counts = loading.outcome.files
        self._target = target
        self._progress = progress
        self._copy = copy

    async def run(self, files: AsyncIterator[FoundFile], total_bytes: int) -> None:
        """Raises Unavailable, OSError."""
        doing, done = "importing files" if self._copy else "comparing files", 0
        async for file in files:
            if self._is_taken(file.key):
                await self._put(file)
            else:
                self._counts.left_out += 1
            done += file.size
            self._progress(Step(doing, done, total_bytes, "byte"))

    def _is_taken(self, key: str) -> bool:
        parts = key.split("/")
        if len(parts) < PARTS:
            return False
        if tuple(parts[:2]) == PICTURES:
            return self._is_account(parts[2])
        owner = self._source.execute(OWNER_OF_SESSION, (parts[1],)).fetchone()
        return parts[0] == ATTACHMENTS and owner is not None and self._loading.takes(owner[0], parts[1])

    def _is_account(self, account: str) -> bool:
        there = self._source.execute('SELECT 1 FROM "Account" WHERE "id" = ?', (account,)).fetchone()
        return there is not None and self._loading.takes(account)

    async def _put(self, file: FoundFile) -> None:
        try:
            here = await self._target.open(file.key)
        except NotFound:
            self._counts.new += 1
            if self._copy:
                await self._target.put(file.key, file.chunks, file.size)
            return
        if here.size == file.size and await _digest(here.chunks) == await _digest(file.chunks):
            self._counts.here += 1
        else:
            self._counts.left_out += 1
            self._loading.outcome.add_conflict("files", file.key, "it is here with other contents")


async def _digest(chunks: AsyncIterator[bytes]) -> bytes:
    digest = hashlib.sha256()
    async for chunk in chunks:
        digest.update(chunk)
    return digest.digest()


async def files_of_store(store: FileStore) -> AsyncIterator[FoundFile]:
    """Every file of a folder or bucket."""
    async for listed in store.list_all():
        try:
            stored = await store.open(listed.key)
        except NotFound:
            continue
        yield FoundFile(listed.key, stored.size, stored.chunks)


async def files_of_archive(path: Path) -> AsyncIterator[FoundFile]:
    """Every file in a backup that was found to be whole."""
    from happy.adapters.archive import reading

    found = reading.files(path)
    while (item := await asyncio.to_thread(next, found, None)) is not None:
        key, content, size = item
        yield FoundFile(key, size, _chunks(content))


async def _chunks(content: IO[bytes] | Any) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(content.read, CHUNK):
        yield chunk


@asynccontextmanager
async def open_source_files(where: Path | S3) -> AsyncIterator[FileStore]:
    """A folder, or a bucket, that is only read."""
    if isinstance(where, Path):
        yield DiskFiles(where, "")
        return
    from happy.adapters.full.s3 import files as s3_files

    async with s3_files.open_files(where) as files:
        yield files
