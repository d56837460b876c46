"""Backups of a PostgreSQL database: a snapshot read in pieces, an empty database filled at once."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import asyncpg
import msgspec

from happy.adapters.allocator import return_small_blocks
from happy.adapters.archive.rows import RowFormat, RowSum, row_formats
from happy.adapters.full.postgres.connecting import connect, startup_errors, transaction
from happy.adapters.full.postgres.dsn import Address, parse
from happy.adapters.full.postgres.inserting import insert
from happy.adapters.full.postgres.schema import require_head
from happy.domain.errors import StartupError
from happy.domain.progress import Progress, Step
from schema.revisions import HEAD

FETCH_BYTES: Final = 500_000
"""Of one query. JSON counts compressed: a document of zeros only may become a hundred times that."""

ROWS_AT_ONCE: Final = 500
REST: Final = 2.0
"""How long a backup rests, over the time of a query and of what its rows are used for."""


class SnapshotRows:
    """The rows of one transaction's snapshot."""

    def __init__(self, connection: Any, *, gently: bool = False) -> None:
        """`gently`: rest after the rows of each query, so that others are served."""
        self._connection = connection
        self._gently = gently

    async def rows(self, table: RowFormat) -> AsyncIterator[list[Sequence[Any]]]:
        """As many rows at once as their sizes allow, which are asked for first: some rows have 16 MB.

        A cursor that fetched hundreds of small rows might be given hundreds of large ones next.
        """
        row_ids = await self._connection.cursor(table.select_row_ids())
        select = table.select_by_row_ids()
        while ids := await row_ids.fetch(ROWS_AT_ONCE):
            for of_table, group in _groups(ids):
                began = time.monotonic()
                found: list[Sequence[Any]] = [
                    tuple(row) for row in await self._connection.fetch(select, of_table, group)
                ]
                if len(group) == 1:  # it may be large
                    return_small_blocks()
                yield found
                if self._gently:
                    await asyncio.sleep(REST * (time.monotonic() - began))

    async def count(self, table: RowFormat) -> int:
        """As PostgreSQL estimates it: counting would take as long as reading."""
        plan = await self._connection.fetchval(f"EXPLAIN (FORMAT JSON) {table.select('postgresql')}")
        return int(msgspec.json.decode(plan)[0]["Plan"]["Plan Rows"])


def _groups(row_ids: Sequence[Any]) -> Iterator[tuple[str, list[str]]]:
    """Ids of rows that are small enough together, each group of one table: a partitioned one has several."""
    of_table, group, size = "", list[str](), 0
    for table, row_id, bytes_ in row_ids:
        if group and (table != of_table or size + bytes_ > FETCH_BYTES):
            yield of_table, group
            group, size = [], 0
        of_table = table
        group.append(row_id)
        size += bytes_
    if group:
        yield of_table, group


@asynccontextmanager
async def open_rows(url: str) -> AsyncIterator[SnapshotRows]:
    """A snapshot of the database as it is now. Writers go on. Raises StartupError."""
    address = parse(url)
    with startup_errors(address):
        connection = await connect(address)
        try:
            await require_head(connection, address)
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                await connection.execute("SET LOCAL statement_timeout = 0")
                await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                yield SnapshotRows(connection, gently=True)
        finally:
            await connection.close()


class _Abandoned(Exception):
    """Rolls the transaction back."""


class EmptyDatabase:
    """A database without rows, in a transaction that locks its tables."""

    def __init__(self, session: Any, connection: Any, revision: str) -> None:
        """`connection` is the driver's own of `session`."""
        self._session = session
        self._connection = connection
        self._revision = revision
        self._finished = False

    async def add(self, table: RowFormat, rows: list[list[Any]]) -> None:
        try:
            await insert(self._connection, table, rows)
        except asyncpg.DataError as error:
            raise StartupError(f"PostgreSQL cannot store a row of {table.name}: {error}") from error

    async def sums(self, tables: list[RowFormat], progress: Progress) -> dict[str, RowSum]:
        """What is stored now, read again."""
        found, count = {}, 0
        for table in tables:
            total = found[table.name] = RowSum()
            async for batch in SnapshotRows(self._connection).rows(table):
                for digest in map(table.digest, batch):  # a name for the row would keep the last one
                    total.add(digest)
                count += len(batch)
                progress(Step("comparing rows", count))
                batch.clear()  # before the next one is read: it may be large
        return found

    async def finish(self) -> None:
        """Bring the schema up to date; commit when the context ends."""
        if self._revision != HEAD:
            from schema import migrate

            await self._connection.execute("CLOSE ALL")  # cursors keep tables from being altered
            await self._session.run_sync(migrate.upgrade)
        self._finished = True

    def require_finished(self) -> None:
        """Raises _Abandoned."""
        if not self._finished:
            raise _Abandoned


@asynccontextmanager
async def open_new(url: str, revision: str) -> AsyncIterator[EmptyDatabase]:
    """An empty database, at that revision meanwhile, to be filled and finished.

    Raises StartupError when it has accounts.
    """
    address = parse(url)
    with suppress(_Abandoned):
        async with transaction(address) as session:
            await session.exec_driver_sql("SET LOCAL statement_timeout = 0")  # also begins the transaction
            connection: Any = (await session.get_raw_connection()).driver_connection
            await require_head(connection, address)
            names = [f'"{table.name}"' for table in row_formats()]
            await connection.execute(f"LOCK TABLE {', '.join(names)} IN ACCESS EXCLUSIVE MODE")
            await _require_no_accounts(connection, address)
            await connection.execute(f"TRUNCATE {', '.join(names)}")
            if revision != HEAD:
                from schema import migrate

                await session.run_sync(migrate.downgrade, revision)
            new = EmptyDatabase(session, connection, revision)
            yield new
            new.require_finished()


async def _require_no_accounts(connection: Any, address: Address) -> None:
    if await connection.fetchval('SELECT EXISTS (SELECT FROM "Account")'):
        raise StartupError(f"the database {address.display} has accounts: restore into an empty one")
