"""Rows that are imported from a PostgreSQL database of this protocol, and into ours."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from happy.adapters.archive.rows import RowFormat
from happy.adapters.full.postgres.backup import SnapshotRows
from happy.adapters.full.postgres.connecting import connect, startup_errors
from happy.adapters.full.postgres.dsn import parse
from happy.adapters.full.postgres.inserting import insert
from happy.adapters.full.postgres.schema import VERSION_TABLE, require_head
from happy.adapters.imports.errors import SourceRefused
from happy.adapters.imports.tables import ImportedTable
from happy.adapters.imports.target import Identity, Refused, Row
from happy.adapters.imports.values import default_of
from happy.domain.errors import Conflict
from schema.queries.revocations import LOCK
from schema.tables import metadata

COLUMNS: Final = """
SELECT c.relname, a.attname FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND pg_table_is_visible(c.oid)
"""
AMONG: Final = "WHERE ({}) IN (SELECT * FROM unnest({}))"  # formatted with names of our own schema
ANY_TABLE: Final = "SELECT to_regclass('\"Account\"') IS NOT NULL"
IDENTIFY: Final = (
    'UPDATE "Account" SET "publicKey" = $1, "username" = $2, "githubUserId" = $3 WHERE "id" = $4'
)
DIALECT: Final[Any] = postgresql.asyncpg
NEXT_REVISION: Final = LOCK(postgresql.insert).compile(dialect=DIALECT.dialect())


class _Present(RowFormat):
    """A table of a source that may lack columns of this version."""

    def __init__(self, table: sa.Table, present: set[str]) -> None:
        super().__init__(table)
        self._present = present
        self._selected = [
            column
            if column.name in present
            else sa.literal(default_of(column), column.type).label(column.name)
            for column in table.columns
        ]

    def _sized(self) -> list[sa.Column[Any]]:
        return [column for column in super()._sized() if column.name in self._present]


async def source_rows(
    url: str, tables: Sequence[RowFormat]
) -> AsyncIterator[tuple[RowFormat, list[Sequence[Any]]]]:
    """All rows of one snapshot, while others write. Raises SourceRefused, StartupError."""
    address = parse(url)
    with startup_errors(address):
        connection = await connect(address)
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                await connection.execute("SET LOCAL statement_timeout = 0")
                await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                found: dict[str, set[str]] = {}
                for table, column in await connection.fetch(COLUMNS):
                    found.setdefault(table, set()).add(column)
                if not {"Account", "Session", "SessionMessage"} <= found.keys():
                    raise SourceRefused(f"the database {address.display} has no accounts of this protocol")
                for table in tables:
                    if table.name in found:
                        present = _Present(metadata.tables[table.name], found[table.name])
                        async for batch in SnapshotRows(connection).rows(present):
                            yield table, batch
        finally:
            await connection.close()


class PostgresTarget:
    """One connection, beside those of servers."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        with _conflicts():
            async with self._connection.transaction():
                await self._connection.execute("SET LOCAL statement_timeout = 0")
                yield

    async def existing(
        self, table: ImportedTable, columns: Sequence[int], keys: Sequence[tuple[Any, ...]]
    ) -> list[Row]:
        if not keys:
            return []
        names = ", ".join(f'"{table.columns[number]}"' for number in columns)
        arrays = ", ".join(
            f"${parameter}::{_type(table, number)}[]" for parameter, number in enumerate(columns, 1)
        )
        condition = AMONG.format(names, arrays)
        safe = [key for key in keys if not any(_has_zero(value) for value in key)]
        found = (
            await self._connection.fetch(
                f"{table.select('postgresql')} {condition}", *(map(list, zip(*safe, strict=True)))
            )
            if safe
            else []
        )
        return [tuple(row) for row in found]

    async def insert(self, table: ImportedTable, rows: Sequence[Row]) -> list[Refused]:
        """Row by row when PostgreSQL refuses one: it stores no zero characters, in JSON neither."""
        possible = [row for row in rows if not any(_has_zero(value) for value in row)]
        refused = [Refused(row, ZERO) for row in rows if any(_has_zero(value) for value in row)]
        try:
            async with self._connection.transaction():
                await insert(self._connection, table, possible)
        except asyncpg.DataError:
            refused += [problem for row in possible if (problem := await self._insert_one(table, row))]
        return refused

    async def _insert_one(self, table: ImportedTable, row: Row) -> Refused | None:
        try:
            async with self._connection.transaction():
                await insert(self._connection, table, [row])
        except asyncpg.DataError as error:
            return Refused(row, f"PostgreSQL cannot store it: {error}")
        return None

    async def next_revision(self) -> int:
        values = {**NEXT_REVISION.params, "now": 0}
        ordered = [values[name] for name in NEXT_REVISION.positiontup]
        return int(await self._connection.fetchval(str(NEXT_REVISION), *ordered))

    async def identify(self, identity: Identity) -> None:
        values = identity.public_key, identity.username, identity.github_user_id, identity.account_id
        await self._connection.execute(IDENTIFY, *values)


ZERO: Final = "PostgreSQL cannot store a zero character"


def _has_zero(value: Any) -> bool:
    return isinstance(value, str) and "\0" in value


def _type(table: ImportedTable, number: int) -> str:
    column = metadata.tables[table.name].columns.values()[number]
    return "bigint" if isinstance(column.type, sa.Integer) else "text"


@contextmanager
def _conflicts() -> Iterator[None]:
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as error:
        raise Conflict(f"somebody changed the same meanwhile ({error}): run it again") from error


@asynccontextmanager
async def open_target(url: str) -> AsyncIterator[PostgresTarget]:
    """A database with the schema of this version. Raises StartupError."""
    address = parse(url)
    with startup_errors(address):
        connection = await connect(address)
        try:
            await require_head(connection, address)
            yield PostgresTarget(connection)
        finally:
            await connection.close()


async def is_empty(url: str) -> bool:
    """Whether the database has no tables of this protocol. Raises StartupError."""
    address = parse(url)
    with startup_errors(address):
        connection = await connect(address)
        try:
            return not (await connection.fetchval(VERSION_TABLE) or await connection.fetchval(ANY_TABLE))
        finally:
            await connection.close()
