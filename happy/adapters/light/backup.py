"""Backups of a light database: a snapshot by SQLite's own interface, a new file from an archive."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import schema
from happy.adapters.archive.rows import RowFormat, RowSum
from happy.adapters.file_system import process_exists, sync_folder
from happy.adapters.free_space import require_room
from happy.adapters.light.migration import copy_whole
from happy.adapters.light.schema import require_head, startup_errors
from happy.domain.errors import StartupError
from happy.domain.progress import Progress, Step, silent
from schema.revisions import HEAD

BATCH_BYTES: Final = 1_000_000
ROWS_AT_ONCE: Final = 500
SNAPSHOT: Final = ".happy-snapshot-"
RESTORING: Final = ".restoring"


class SnapshotRows:
    """The rows of a copy that nobody writes to."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def rows(self, table: RowFormat) -> AsyncIterator[list[Sequence[Any]]]:
        cursor = await asyncio.to_thread(self._connection.execute, table.select("sqlite"))
        while batch := await asyncio.to_thread(_next_batch, cursor):
            yield batch

    async def count(self, table: RowFormat) -> int:
        counting = f"SELECT count(*) FROM ({table.select('sqlite')})"  # noqa: S608 - of our own schema
        cursor = await asyncio.to_thread(self._connection.execute, counting)
        return int(cursor.fetchone()[0])


def _next_batch(cursor: sqlite3.Cursor) -> list[Sequence[Any]]:
    batch: list[Sequence[Any]] = []
    size = 0
    while size < BATCH_BYTES and len(batch) < ROWS_AT_ONCE and (row := cursor.fetchone()) is not None:
        batch.append(row)
        size += sum(len(value) for value in row if isinstance(value, str | bytes))
    return batch


@asynccontextmanager
async def open_rows(database: Path, progress: Progress = silent) -> AsyncIterator[SnapshotRows]:
    """A snapshot of the database as it is now, in a file beside it. Writers go on. Raises StartupError."""
    await asyncio.to_thread(require_head, database)
    copy = database.with_name(f"{SNAPSHOT}{os.getpid()}")
    with _gone_afterwards(copy):
        with startup_errors(database):
            await asyncio.to_thread(_copy, database, copy, progress)
        with closing(sqlite3.connect(copy, check_same_thread=False)) as connection:
            try:
                yield SnapshotRows(connection)
            except sqlite3.Error as error:  # what fails where the rows go is no fault of the database
                with startup_errors(database):
                    raise error from None


@contextmanager
def _gone_afterwards(copy: Path) -> Iterator[None]:
    """Also removes what killed processes have left."""
    for left in copy.parent.glob(f"{SNAPSHOT}*"):
        process = left.name.removeprefix(SNAPSHOT)
        if process.isdecimal() and not process_exists(int(process)):
            left.unlink(missing_ok=True)
    try:
        yield
    finally:
        copy.unlink(missing_ok=True)


def _copy(database: Path, copy: Path, progress: Progress) -> None:
    """Raises OSError if others would have no room."""
    logs = (database.with_name(f"{database.name}{suffix}") for suffix in ("-wal", "-journal"))
    require_room(database.parent, sum(file.stat().st_size for file in (database, *logs) if file.exists()))
    os.close(os.open(copy, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600))
    copy_whole(database, copy, progress)


class NewDatabase:
    """A database file in the making; it has its name only when it is whole."""

    def __init__(self, path: Path, revision: str) -> None:
        self._path = path
        self._revision = revision
        self._made = path.with_name(f".{path.name}{RESTORING}")
        self._made.unlink(missing_ok=True)
        os.close(os.open(self._made, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        if revision != HEAD:
            _migrate(self._made, revision)
        self._connection = sqlite3.connect(self._made, isolation_level=None)
        self._connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
        if revision == HEAD:
            self._connection.executescript((Path(schema.__file__).parent / "sqlite.sql").read_text("utf-8"))
        self._connection.execute("BEGIN")
        self._inserts: dict[str, str] = {}

    async def add(self, table: RowFormat, rows: list[list[Any]]) -> None:
        insert = self._inserts.setdefault(table.name, table.insert("sqlite"))
        self._connection.executemany(insert, rows)

    async def sums(self, tables: list[RowFormat], progress: Progress) -> dict[str, RowSum]:
        """What is stored now, read again."""
        found, count = {}, 0
        for table in tables:
            total = found[table.name] = RowSum()
            for digest in map(table.digest, self._connection.execute(table.select("sqlite"))):
                total.add(digest)
                count += 1
                progress(Step("comparing rows", count))
        return found

    async def finish(self) -> None:
        """Bring the schema up to date, and give the file its name. Raises StartupError."""
        self._connection.execute("COMMIT")
        if self._revision != HEAD:
            _migrate(self._made, HEAD)
        if self._connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
            raise StartupError(f"{self._made} has rows that refer to none")
        self._connection.close()
        descriptor = os.open(self._made, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        for suffix in ("-wal", "-shm"):
            self._path.with_name(f"{self._path.name}{suffix}").unlink(missing_ok=True)
        self._made.replace(self._path)
        sync_folder(self._path.parent)

    def discard(self) -> None:
        with suppress(sqlite3.Error):
            self._connection.close()
        self._made.unlink(missing_ok=True)


def _migrate(path: Path, revision: str) -> None:
    from schema import migrate  # takes half a second, so only for an older archive

    with migrate.sqlite_connection(path) as connection:
        migrate.upgrade(connection, revision)


@asynccontextmanager
async def open_new(path: Path, revision: str) -> AsyncIterator[NewDatabase]:
    """A database of that revision to be filled and finished.

    Raises StartupError when there is one with accounts.
    """
    with startup_errors(path):
        await asyncio.to_thread(_require_nothing, path)
        new = NewDatabase(path, revision)
        try:
            yield new
        finally:
            new.discard()


def _require_nothing(path: Path) -> None:
    """Raises StartupError where something would be lost: accounts, or what another program stores."""
    if path.exists() and not path.is_file():
        raise StartupError(f"{path} is no file")
    if not path.exists() or not path.stat().st_size:
        return
    with closing(sqlite3.connect(path)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if tables and "Account" not in tables:
            raise StartupError(f"{path} is a database of another program")
        if tables and connection.execute('SELECT 1 FROM "Account"').fetchone() is not None:
            raise StartupError(f"{path} has accounts: restore into another, empty data directory")
