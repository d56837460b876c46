"""Migrates a light database, in one transaction, after a copy to which one can go back."""

import glob
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from happy.adapters.file_system import sync_folder
from happy.adapters.free_space import RESERVE_BYTES
from happy.domain.errors import StartupError
from happy.domain.progress import Progress, Step
from happy.domain.values import Millis
from schema.revisions import HEAD, REVISIONS

COPIES_KEPT: Final = 3
"""How many copies from before a migration are kept beside the database."""

PAGES_AT_ONCE: Final = 4096
MEGABYTE: Final = 1_000_000


def migrate(path: Path, revision: str, now: Millis, progress: Progress) -> None:
    """From that revision to this version's. After an error the database is as before, without the copy."""
    from schema import migrate  # takes half a second, so only for a migration

    _require_room(path)
    backup = copy_of(path, revision, now)
    with private_file(backup.with_name(f".{backup.name}.new")) as copy:
        copy_whole(path, copy, progress)
        sync(copy)
        with migrate.sqlite_connection(path) as connection:
            pending = REVISIONS[REVISIONS.index(revision) + 1 :]
            for done, following in enumerate(pending):
                progress(Step(f"schema {following} of {HEAD}", done, len(pending), "step"))
                migrate.upgrade(connection, following)
            copy.replace(backup)
    sync_folder(path.parent)
    _prune(path)


def copy_of(path: Path, revision: str, now: Millis) -> Path:
    """Where the copy from before the migration is kept."""
    return path.with_name(f"{path.name}.backup-{revision}-{now}")


def copy_bytes(path: Path) -> int:
    """How large the copy can become: the database and what of it is in the log."""
    log = path.with_name(f"{path.name}-wal")
    return path.stat().st_size + (log.stat().st_size if log.exists() else 0)


def _require_room(path: Path) -> None:
    """Raises StartupError unless the copy fits, and some more: the log of the migration, and others."""
    status = os.statvfs(path.parent)
    free, size = status.f_bavail * status.f_frsize, copy_bytes(path)
    if status.f_blocks > 0 and free < size + RESERVE_BYTES:
        raise StartupError(
            f"{path} is copied before it is migrated, which takes {_megabytes(size + RESERVE_BYTES)},"
            f" and {path.parent} has {_megabytes(free)}: make room there"
            f" ({path.name}.backup-* are older copies)"
        )


def _megabytes(size: int) -> str:
    return f"{size / MEGABYTE:,.0f} MB"


def copy_whole(path: Path, copy: Path, progress: Progress) -> None:
    """Some pages at a time, as of one moment: the open transaction keeps others' writes out of it."""

    def report(_status: int, remaining: int, total: int) -> None:
        size = copy_bytes(path)
        done = size * (total - remaining) // max(total, 1)
        progress(Step("copying the database", done, size, "byte"))

    with (
        closing(sqlite3.connect(path, isolation_level=None)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        source.backup(target, pages=PAGES_AT_ONCE, progress=report)
        target.execute("PRAGMA journal_mode = DELETE")


@contextmanager
def private_file(path: Path) -> Iterator[Path]:
    """An empty file that only its owner can read; deleted afterwards, unless it was renamed."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Bring the content of a file to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _prune(path: Path) -> None:
    """Delete all but the last copies from before a migration."""
    copies = [
        copy
        for copy in path.parent.glob(f"{glob.escape(path.name)}.backup-*-*")
        if copy.name.rpartition("-")[2].isdecimal()
    ]
    for copy in sorted(copies, key=lambda copy: int(copy.name.rpartition("-")[2]))[:-COPIES_KEPT]:
        copy.unlink(missing_ok=True)
