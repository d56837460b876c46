"""The format of a backup: a zstd-compressed tar whose last member lists all others, and a digest at its end.

docs/backup-format.md describes it for those who want to read one without this program.
"""

import hashlib
import struct
from pathlib import Path
from typing import Final

from msgspec import Struct

from happy.domain.amounts import counted
from happy.domain.errors import HappyError
from happy.domain.progress import Progress, Step, silent

FORMAT: Final = "happy-server-backup"
FORMAT_VERSION: Final = 1
SUFFIX: Final = ".tar.zst"
HEADER: Final = "header.json"
MANIFEST: Final = "manifest.json"
SECRET: Final = "secret.json"  # noqa: S105 - a name
TABLES: Final = "tables"
FILES: Final = "files"

PART_BYTES: Final = 4_000_000
"""Rows of a table are written in parts of about this size, in bytes; a larger row is a part of its own."""

CHUNK_BYTES: Final = 1_000_000

TRAILER_MAGIC: Final = b"HAPPYSHA"
_SKIPPABLE: Final = struct.pack("<II", 0x184D2A5E, len(TRAILER_MAGIC) + hashlib.sha256().digest_size)
TRAILER_BYTES: Final = len(_SKIPPABLE) + len(TRAILER_MAGIC) + hashlib.sha256().digest_size


class ArchiveDamaged(HappyError):
    """The archive is not what was written; the message says what is wrong with it."""


class ArchiveTooNew(HappyError):
    """A later version has written the archive; the message says which one is needed."""


class Header(Struct, frozen=True, kw_only=True):
    """The first member: what a reader has to know before it takes anything from the archive."""

    format: str
    format_version: int
    server_version: str
    schema_revision: str
    flavor: str
    created_at: int
    """Unix time in ms, from before the snapshot was taken."""

    secret_fingerprint: str
    """Of the master secret that the database was used with; empty if it has been used with none."""

    with_files: bool
    """Whether uploaded files are in the archive; otherwise they are listed in the manifest alone."""


class Member(Struct, frozen=True):
    """A member of the tar: its size in bytes and its SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str


class TableSummary(Struct, frozen=True):
    """A table: how many rows it has, and the sum of their digests, which does not depend on their order."""

    rows: int
    digest: str


class ListedFile(Struct, frozen=True):
    """A file in an object store that is not in the archive: its size in bytes, and the store's checksum."""

    key: str
    size: int
    checksum: str


class Dangling(Struct, frozen=True):
    """Rows of the database that refer to rows of `parent` which were not there when it was backed up."""

    table: str
    parent: str
    rows: int
    emptied: bool
    """True: they are in the archive without that reference. False: they were left out."""

    def __str__(self) -> str:
        done = "lost that reference" if self.emptied else "left out"
        why = f"no such row of {self.parent}"
        return f"{counted(self.rows, 'row')} of {self.table} {done}: {why}"


class Manifest(Struct, frozen=True, kw_only=True):
    """The last member: every other one in its order, and what they hold together."""

    members: list[Member] = []
    """In the file alone, where there may be millions: `listing` writes and compares them."""

    tables: dict[str, TableSummary]
    files: int
    file_bytes: int
    listed_files: list[ListedFile]
    """Of a manifest that was read; `listing` writes them."""

    high_water_marks: dict[str, int]
    """The highest of each sequence: of updates, of messages in a session, of feed items."""

    dangling: list[Dangling] = []

    @property
    def rows(self) -> int:
        """Of all tables."""
        return sum(table.rows for table in self.tables.values())


def trailer(digest: bytes) -> bytes:
    """The end of the file: a zstd frame that every zstd program skips, with the SHA-256 of all before it."""
    return _SKIPPABLE + TRAILER_MAGIC + digest


def require_whole(path: Path, progress: Progress = silent) -> None:
    """Raises ArchiveDamaged unless the file ends with the digest of everything before that."""
    size = path.stat().st_size - TRAILER_BYTES
    digest = hashlib.sha256()
    with path.open("rb") as file:
        remaining = max(0, size)
        while remaining:
            chunk = file.read(min(CHUNK_BYTES, remaining))
            digest.update(chunk)
            remaining -= len(chunk)
            progress(Step("checking the digest", size - remaining, size, "byte"))
        end = file.read()
    if size < 0 or not end.startswith(_SKIPPABLE + TRAILER_MAGIC):
        raise ArchiveDamaged("it is cut short, or is no backup of this program: its end is missing")
    if end != trailer(digest.digest()):
        raise ArchiveDamaged("it is damaged: its contents do not have the digest at its end")
