"""Writes a backup: rows and files go through in pieces, so that memory does not grow with what is stored."""

import asyncio
import hashlib
import io
import tarfile
from collections.abc import AsyncIterator, Sequence
from typing import IO, Any, Protocol

import msgspec
import zstandard

from happy.adapters.archive.format import (
    FILES,
    HEADER,
    MANIFEST,
    PART_BYTES,
    SECRET,
    TABLES,
    Header,
    ListedFile,
    Manifest,
    Member,
    TableSummary,
    trailer,
)
from happy.adapters.archive.listing import Listing, write_manifest
from happy.adapters.archive.references import References
from happy.adapters.archive.rows import RowFormat, RowSum, row_formats
from happy.adapters.archive.summing import Sums
from happy.domain.errors import NotFound
from happy.domain.ports.filestore import ListedObject, StoredFile
from happy.domain.progress import Progress, Step


class Sink(Protocol):
    """What an archive is written to, from any thread but the event loop's."""

    def write(self, data: bytes, /) -> int: ...


class RowSource(Protocol):
    """One snapshot of a database."""

    def rows(self, table: RowFormat) -> AsyncIterator[list[Sequence[Any]]]:
        """All rows of a table, in batches of a few MB at most."""
        ...

    async def count(self, table: RowFormat) -> int:
        """How many these are, or what the database estimates; soon, however many."""
        ...


class FileSource(Protocol):
    """The part of a file store that is read."""

    def list_all(self) -> AsyncIterator[ListedObject]: ...

    async def open(self, key: str, offset: int = 0, length: int | None = None) -> StoredFile: ...


class Hashing(io.BytesIO):
    """Passes on what is written, and digests it."""

    def __init__(self, target: Sink) -> None:
        super().__init__()
        self._target = target
        self.digest = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._target.write(data)
        self.digest.update(data)
        self.size += len(data)
        return len(data)


class ArchiveWriter:
    """Members one after another. `close` writes the end; without it the file passes for nothing whole."""

    def __init__(self, target: Sink) -> None:
        self._members = Listing()
        self._target = target
        self._hashing = Hashing(target)
        compressor = zstandard.ZstdCompressor(level=3, write_checksum=True)
        self._stream = compressor.stream_writer(self._hashing, closefd=False)
        self._tar = tarfile.open(fileobj=self._stream, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115

    def add(self, name: str, content: bytes | bytearray) -> None:
        self._add(name, _Reader(content), len(content))
        self._members.add(Member(name, len(content), hashlib.sha256(content).hexdigest()))

    def add_file(self, name: str, content: IO[bytes], size: int) -> None:
        """Raises OSError when `content` is shorter than `size`."""
        reading = _DigestingReader(content)
        self._add(name, reading, size)
        self._members.add(Member(name, size, reading.digest.hexdigest()))

    def close(self, manifest: Manifest, listed_files: Listing) -> int:
        """Returns the size of the whole file in bytes."""
        with write_manifest(manifest, self._members, listed_files) as content:
            size = content.tell()
            content.seek(0)
            self._add(MANIFEST, content, size)
        self._tar.close()
        self._stream.close()  # type: ignore[no-untyped-call]
        end = trailer(self._hashing.digest.digest())
        self._target.write(end)
        return self._hashing.size + len(end)

    def _add(self, name: str, content: Any, size: int) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o600
        self._tar.addfile(info, content)
        self._tar.members.clear()  # type: ignore[attr-defined] # it would keep all of them


class _Reader:
    """Reads from memory without a copy of all of it."""

    def __init__(self, content: bytes | bytearray) -> None:
        self._content = memoryview(content)
        self._at = 0

    def read(self, size: int) -> memoryview:
        self._at += size
        return self._content[self._at - size : self._at]


class _DigestingReader:
    def __init__(self, content: IO[bytes]) -> None:
        self._content = content
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._content.read(size)
        self.digest.update(data)
        return data


class Backup:
    """One backup in the making."""

    def __init__(self, target: Sink, header: Header, progress: Progress) -> None:
        self._writer = ArchiveWriter(target)
        self._header = header
        self._formats = row_formats(header.schema_revision)
        self._references = References(self._formats)
        self._progress = progress
        self._tables: dict[str, TableSummary] = {}
        self._sums = Sums()
        self._listed = Listing()
        self._rows = self._expected_rows = self._expected_bytes = 0

    async def write(
        self, source: RowSource, files: FileSource, sealed_secret: bytes | None
    ) -> tuple[Manifest, int]:
        """The whole archive, and its size in bytes. Raises Unavailable, or OSError."""
        await asyncio.to_thread(self._writer.add, HEADER, msgspec.json.encode(self._header))
        if sealed_secret is not None:
            await asyncio.to_thread(self._writer.add, SECRET, sealed_secret)
        self._expected_rows = sum([await source.count(table) for table in self._formats])
        for table in self._formats:
            await self._write_table(table, source)
        await self._write_files(files)
        manifest = Manifest(
            tables=self._tables,
            files=self._sums.files,
            file_bytes=self._sums.file_bytes,
            listed_files=[],
            high_water_marks=self._sums.highest,
            dangling=self._references.dangling(),
        )
        return manifest, await asyncio.to_thread(self._writer.close, manifest, self._listed)

    async def _write_table(self, table: RowFormat, source: RowSource) -> None:
        """A large row is a part of its own, and not in memory any more when the next one is read."""
        total, lines, part = RowSum(), bytearray(), 0
        async for batch in source.rows(table):
            more = await asyncio.to_thread(self._encode, table, batch, total)
            self._rows += len(batch)
            self._progress(Step("writing rows", self._rows, self._expected_rows))
            batch.clear()  # before the next one is read: it may be large
            if len(lines) + len(more) >= PART_BYTES:
                part = await self._write_part(table, part, lines)
                lines = more
            else:
                lines += more
            del more
            if len(lines) >= PART_BYTES:
                part = await self._write_part(table, part, lines)
                lines = bytearray()
        await self._write_part(table, part, lines)
        self._tables[table.name] = TableSummary(total.rows, total.digest)

    async def _write_part(self, table: RowFormat, part: int, lines: bytearray) -> int:
        """Returns how many parts there are now."""
        if not lines:
            return part
        name = f"{TABLES}/{table.name}/{part + 1:06}.jsonl"
        await asyncio.to_thread(self._writer.add, name, lines)
        return part + 1

    def _encode(self, table: RowFormat, batch: list[Sequence[Any]], total: RowSum) -> bytearray:
        mended = (self._references.mend(table, row) for row in batch)
        batch = [row for row in mended if row is not None]
        for row in batch:
            total.add(table.digest(row))
            self._sums.add_row(table, row)
        return table.lines(batch)

    async def _write_files(self, files: FileSource) -> None:
        if self._header.with_files:
            looked_at = 0
            async for stored in files.list_all():
                self._expected_bytes += stored.size
                looked_at += 1
                self._progress(Step("looking for files", looked_at, unit="file"))
        async for stored in files.list_all():
            if self._header.with_files:
                await self._write_file(files, stored.key)
                step = Step("writing files", self._sums.file_bytes, self._expected_bytes, "byte")
                self._progress(step)
            else:
                self._sums.add_file(stored.size)
                self._progress(Step("listing files", self._sums.files, unit="file"))
                self._listed.add(ListedFile(stored.key, stored.size, stored.checksum))

    async def _write_file(self, files: FileSource, key: str) -> None:
        """Nothing if it was deleted since it was listed."""
        import tempfile

        with tempfile.SpooledTemporaryFile(max_size=PART_BYTES) as spool:
            size = 0
            try:
                async for chunk in (await files.open(key)).chunks:
                    size += len(chunk)
                    await asyncio.to_thread(spool.write, chunk)
            except NotFound:  # an object store may say so only when it is read
                return
            spool.seek(0)
            await asyncio.to_thread(self._writer.add_file, f"{FILES}/{key}", spool, size)
        self._sums.add_file(size)
