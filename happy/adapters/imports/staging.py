"""A scratch file with all rows of a source, in the schema of this version, for one import."""

import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import schema
from happy.adapters.archive.rows import RowFormat
from happy.adapters.file_system import process_exists
from happy.adapters.imports.errors import SourceRefused
from happy.adapters.imports.tables import DELETED_SESSIONS
from happy.domain.amounts import counted

FOLDER: Final = ".happy-import-"
CHECKED_AT_ONCE: Final = 10_000
DELETING_ROW: Final = 'DELETE FROM "{}" WHERE rowid = ?'  # formatted with names of our own schema
FORGETTING: Final = (
    'UPDATE "UsageReport" SET "sessionId" = NULL WHERE "sessionId" NOT IN (SELECT "id" FROM "Session")'
)
"""A report of usage whose session is gone loses only that."""

DELETING: Final = 'DELETE FROM "{}" WHERE "sessionId" IN (SELECT "id" FROM "Session" WHERE "accountId" = ?)'


class Staging:
    """A new file. Its indexes hold; references do not: a dump has its tables in any order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
        self._connection.executescript((Path(schema.__file__).parent / "sqlite.sql").read_text("utf-8"))
        self._connection.execute("BEGIN")

    def add(self, table: RowFormat, rows: list[list[Any]]) -> None:
        """Raises SourceRefused for rows that no database of this protocol holds."""
        try:
            self._connection.executemany(table.insert("sqlite"), rows)
        except (sqlite3.IntegrityError, OverflowError) as error:
            raise SourceRefused(f"its rows of {table.name} do not go together: {error}") from None

    def finish(self) -> None:
        self._connection.execute("COMMIT")
        self._connection.close()


def open_whole(path: Path) -> tuple[sqlite3.Connection, list[str]]:
    """The file, without rows that refer to none or are being deleted; how many of the former there were."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = OFF")
    for table in ("SessionMessage", "UsageReport", "AccessKey"):
        connection.execute(DELETING.format(table), (DELETED_SESSIONS,))
    connection.execute('DELETE FROM "Session" WHERE "accountId" = ?', (DELETED_SESSIONS,))
    connection.execute(FORGETTING)
    removed: Counter[str] = Counter()
    while found := connection.execute("PRAGMA foreign_key_check").fetchmany(CHECKED_AT_ONCE):
        for table, row in {(table, row) for table, row, _, _ in found}:
            connection.execute(DELETING_ROW.format(table), (row,))
            removed[table] += 1
    return connection, [
        f"{counted(count, 'row')} of {table} without what they belong to" for table, count in removed.items()
    ]


@contextmanager
def scratch_folder(beside: Path) -> Iterator[Path]:
    """A private folder that is gone afterwards; those that killed imports have left are removed, too."""
    for left in beside.glob(f"{FOLDER}*"):
        process = left.name.removeprefix(FOLDER)
        if process.isdecimal() and not process_exists(int(process)):
            shutil.rmtree(left, ignore_errors=True)
    folder = beside / f"{FOLDER}{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
