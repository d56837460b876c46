"""Reads a backup, and refuses everything that is not exactly what was written."""

import hashlib
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, TypeVar

import msgspec
import zstandard

from happy.adapters.archive.format import (
    FILES,
    FORMAT,
    FORMAT_VERSION,
    HEADER,
    MANIFEST,
    SECRET,
    TABLES,
    ArchiveDamaged,
    ArchiveTooNew,
    Header,
    Manifest,
    Member,
    TableSummary,
    require_whole,
)
from happy.adapters.archive.listing import Listing, read_manifest
from happy.adapters.archive.references import References
from happy.adapters.archive.rows import RowFormat, RowSum, row_formats
from happy.adapters.archive.summing import Sums
from happy.domain.progress import Progress, Step, silent
from schema.revisions import HEAD, REVISIONS

READ_BYTES: Final = 256 * 1024
_T = TypeVar("_T")

Item = tuple[RowFormat, list[list[object]]] | tuple[str, IO[bytes], int]
"""Rows of a table, or the key of a file with its contents and size in bytes."""


def read_header(path: Path) -> Header:
    """Raises ArchiveDamaged."""
    for name, content, _ in _members(path):
        if name != HEADER:
            break
        header = _decoded(content.read(), Header, HEADER)
        if header.format != FORMAT:
            break
        if header.format_version != FORMAT_VERSION:
            raise ArchiveDamaged(
                f"it has format {header.format_version}, and this version reads {FORMAT_VERSION}:"
                " use the happy-server that wrote it, or a newer one"
            )
        return header
    raise ArchiveDamaged("it is no backup of this program")


def read_secret(path: Path) -> bytes | None:
    """The encrypted master secret, if the archive has one. Raises ArchiveDamaged."""
    for name, content, _ in _members(path):
        if name == SECRET:
            return content.read()
        if name != HEADER:
            return None
    return None


def items(path: Path, header: Header) -> Iterator[Item]:
    """Rows and files in the order of the archive, which `verify` has found to be whole."""
    formats = {table.name: table for table in row_formats(header.schema_revision)}
    for name, content, size in _members(path):
        folder, _, rest = name.partition("/")
        if folder == TABLES:
            table = formats[rest.partition("/")[0]]
            yield table, [table.row(line) for line in _lines(content, size)]
        elif folder == FILES:
            yield rest, content, size


def files(path: Path) -> Iterator[tuple[str, IO[bytes], int]]:
    """Key, contents and size in bytes of each file; rows are passed over, of which some have 16 MB."""
    for name, content, size in _members(path):
        folder, _, key = name.partition("/")
        if folder == FILES:
            yield key, content, size


class Verification:
    """Reads everything once: digests, counts, the order of members, and references between tables."""

    def __init__(self, path: Path, progress: Progress = silent) -> None:
        self._path = path
        self._progress = progress
        self._found = Listing()
        self._together = Sums()

    def run(self) -> tuple[Header, Manifest]:
        """Raises ArchiveDamaged, or ArchiveTooNew."""
        require_whole(self._path, self._progress)
        header = read_header(self._path)
        _require_known_schema(header)
        self._formats = {table.name: table for table in row_formats(header.schema_revision)}
        self._sums = {name: RowSum() for name in self._formats}
        self._references = References(list(self._formats.values()))
        manifest = None
        for name, content, size in _members(self._path, self._progress):
            if manifest is not None:
                raise ArchiveDamaged(f"{name} comes after the manifest")
            if name == MANIFEST:
                manifest = read_manifest(content, self._found)
            else:
                self._read(name, content, size)
        if manifest is None:
            raise ArchiveDamaged("it has no manifest")
        self._compare(manifest)
        self._references.require_all()
        self._together.require(manifest)
        return header, manifest

    def _read(self, name: str, content: IO[bytes], size: int) -> None:
        digest = hashlib.sha256()
        if name.startswith(f"{TABLES}/"):
            table = self._formats.get(name.split("/")[1])
            if table is None:
                raise ArchiveDamaged(f"{name} is of a table that this version does not know")
            for line in content:
                digest.update(line)
                row = table.row(line)
                self._sums[table.name].add(table.digest(row))
                self._references.mend(table, row)
                self._together.add_row(table, row)
        else:
            if name.startswith(f"{FILES}/"):
                _require_inside(name)
                self._together.add_file(size)
            while chunk := content.read(1_000_000):
                digest.update(chunk)
        self._found.add(Member(name, size, digest.hexdigest()))

    def _compare(self, manifest: Manifest) -> None:
        sums = {name: TableSummary(total.rows, total.digest) for name, total in self._sums.items()}
        for name, listed in manifest.tables.items():
            if sums.get(name) != listed:
                raise ArchiveDamaged(f"{name} does not have the rows that the manifest lists")
        if sums.keys() != manifest.tables.keys():
            raise ArchiveDamaged("the manifest does not list every table")


def _require_known_schema(header: Header) -> None:
    if header.schema_revision not in REVISIONS:
        raise ArchiveTooNew(
            f"it has schema {header.schema_revision}, and this version knows none after {HEAD}:"
            f" use happy-server {header.server_version}, which wrote it, or a later one"
        )


def _require_inside(name: str) -> None:
    """No server has written it otherwise: nothing may be restored beside the folder of files."""
    if not {"", ".", ".."}.isdisjoint(name.split("/")):
        raise ArchiveDamaged(f"{name} would be outside of the folder of files")


def _lines(content: IO[bytes], size: int) -> Iterator[memoryview]:
    """As iterating over it, which needs twice the memory: that counts for a line of 16 MB."""
    whole = bytearray(size)
    held = memoryview(whole)
    filled = start = 0
    while read := content.readinto(held[filled : filled + READ_BYTES]):  # type: ignore[attr-defined]
        filled += read
    while start < filled:
        end = whole.find(b"\n", start) + 1 or filled
        yield held[start:end]
        start = end


class _ProgressFile:
    """A file that says how much of it was read."""

    def __init__(self, file: IO[bytes], size: int, progress: Progress) -> None:
        self._file = file
        self._size = size
        self._progress = progress

    def read(self, count: int = -1) -> bytes:
        data = self._file.read(count)
        self._progress(Step("checking rows and files", self._file.tell(), self._size, "byte"))
        return data


def _members(path: Path, progress: Progress = silent) -> Iterator[tuple[str, IO[bytes], int]]:
    """Name, contents and size of each. Raises ArchiveDamaged."""
    try:
        with (
            path.open("rb") as file,
            zstandard.ZstdDecompressor().stream_reader(
                _ProgressFile(file, path.stat().st_size, progress)  # type: ignore[arg-type]
            ) as stream,
            tarfile.open(fileobj=stream, mode="r|") as tar,
        ):
            while (info := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined] # it would keep all of them
                content = tar.extractfile(info) if info.isreg() else None
                if content is None:
                    raise ArchiveDamaged(f"{info.name} is no plain member")
                yield info.name, content, info.size
    except (zstandard.ZstdError, tarfile.TarError, EOFError) as error:
        raise ArchiveDamaged(f"it cannot be read: {error}") from None


def _decoded(content: bytes, kind: type[_T], name: str) -> _T:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError as error:
        raise ArchiveDamaged(f"{name} cannot be read: {error}") from None
