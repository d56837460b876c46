"""Rows that are imported into a light database, also while a server has it open."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final

from sqlalchemy.dialects import sqlite

from happy.adapters.imports.tables import ImportedTable
from happy.adapters.imports.target import Identity, Refused, Row
from happy.adapters.light.schema import LOCK_TIMEOUT, require_head, startup_errors
from schema.queries.revocations import LOCK

KEYS_AT_ONCE: Final = 100
IDENTIFY: Final = 'UPDATE "Account" SET "publicKey" = ?, "username" = ?, "githubUserId" = ? WHERE "id" = ?'
NEXT_REVISION: Final = LOCK(sqlite.insert).compile(dialect=sqlite.dialect(paramstyle="named"))


class LightTarget:
    """One connection. SQLite lets the writers of several processes take turns."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._inserts: dict[str, str] = {}

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        await asyncio.to_thread(self._connection.execute, "BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        await asyncio.to_thread(self._connection.execute, "COMMIT")

    async def existing(
        self, table: ImportedTable, columns: Sequence[int], keys: Sequence[tuple[Any, ...]]
    ) -> list[Row]:
        return list(self._existing(table, columns, keys))

    def _existing(
        self, table: ImportedTable, columns: Sequence[int], keys: Sequence[tuple[Any, ...]]
    ) -> Iterator[Row]:
        names = [table.columns[number] for number in columns]
        for start in range(0, len(keys), KEYS_AT_ONCE):
            some = keys[start : start + KEYS_AT_ONCE]
            values = [value for key in some for value in key]
            yield from self._connection.execute(select_existing(table, names, len(some)), values)

    async def insert(self, table: ImportedTable, rows: Sequence[Row]) -> list[Refused]:
        statement = self._inserts.setdefault(table.name, table.insert("sqlite"))
        await asyncio.to_thread(self._connection.executemany, statement, rows)
        return []

    async def next_revision(self) -> int:
        values = {**NEXT_REVISION.params, "now": 0}
        (revision,) = self._connection.execute(str(NEXT_REVISION), values).fetchone()
        return int(revision)

    async def identify(self, identity: Identity) -> None:
        self._connection.execute(
            IDENTIFY, (identity.public_key, identity.username, identity.github_user_id, identity.account_id)
        )


def select_existing(table: ImportedTable, names: Sequence[str], count: int) -> str:
    """Rows with one of so many keys of these columns.

    SQLite finds `(a, b) IN (VALUES ...)` by reading the whole table; a join with the keys uses the index.
    """
    numbers = range(len(names))
    rows = ", ".join([f"({', '.join('?' * len(names))})"] * count)
    keys = f"WITH keys({', '.join(f'k{number}' for number in numbers)}) AS (VALUES {rows})"
    same = " AND ".join(f'there."{names[number]}" = keys.k{number}' for number in numbers)
    found = f'{keys} SELECT there.rowid FROM keys CROSS JOIN "{table.name}" AS there ON {same}'  # noqa: S608 - names of ours
    return f"{table.select('sqlite')} WHERE rowid IN ({found})"


@asynccontextmanager
async def open_target(database: Path) -> AsyncIterator[LightTarget]:
    """A database that is there, with the schema of this version. Raises StartupError."""
    await asyncio.to_thread(require_head, database)
    with (
        startup_errors(database),
        closing(
            sqlite3.connect(database, timeout=LOCK_TIMEOUT, isolation_level=None, check_same_thread=False)
        ) as connection,
    ):
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = NORMAL")
        yield LightTarget(connection)


def is_empty(database: Path) -> bool:
    """Whether there is no database yet, or one without tables."""
    if not database.exists() or not database.stat().st_size:
        return True
    with startup_errors(database), closing(sqlite3.connect(database)) as connection:
        return connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None
