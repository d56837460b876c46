"""What a server of either flavor has stored, to age or to inspect it: queries over `schema.tables`."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from happy.settings import Full, Light

Rows = Callable[[sa.Executable], Awaitable[list[tuple[Any, ...]]]]
"""Runs a query, and returns the rows of one that has any."""


@asynccontextmanager
async def open_rows(settings: Light | Full) -> AsyncIterator[Rows]:
    """A connection of its own to the server's database; every query is a transaction."""
    if isinstance(settings, Light):
        with closing(sqlite3.connect(settings.database, isolation_level=None, timeout=5)) as file:
            yield _in_sqlite(file)
        return
    server = await asyncpg.connect(settings.database_url)
    try:
        yield _in_postgres(server)
    finally:
        await server.close()


def _in_sqlite(file: sqlite3.Connection) -> Rows:
    dialect = sqlite.dialect(paramstyle="named")

    async def run(query: sa.Executable) -> list[tuple[Any, ...]]:
        compiled: Any = query.compile(dialect=dialect)  # type: ignore[attr-defined]
        return file.execute(str(compiled), compiled.params).fetchall()

    return run


def _in_postgres(server: asyncpg.Connection) -> Rows:
    dialect = sa.make_url("postgresql+asyncpg://").get_dialect()()

    async def run(query: sa.Executable) -> list[tuple[Any, ...]]:
        compiled: Any = query.compile(dialect=dialect)  # type: ignore[attr-defined]
        values = [compiled.params[name] for name in compiled.positiontup]
        return [tuple(row) for row in await server.fetch(str(compiled), *values)]

    return run


async def move(rows: Rows, moment: sa.Column[int], millis: int, where: sa.ColumnElement[bool]) -> None:
    """Store a moment of one row that many milliseconds later, or earlier; an empty one stays empty."""
    ((found,),) = await rows(sa.select(moment).where(where))
    if found is not None:
        await rows(sa.update(moment.table).where(where).values({moment: found + millis}))
