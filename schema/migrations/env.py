"""Alembic entry point, the same for both databases: on the connection it is given, or on DATABASE_URL."""

import asyncio
import os
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection, make_url, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from schema import types
from schema.columns import EXPRESSION_INDEXES
from schema.tables import metadata

MIGRATION_LOCK = 0x68617070  # "happ"


def include_name(name: str | None, kind: str, _parents: Any) -> bool:
    # Ignore tables of the server that created the database, such as those of its own migrations.
    return kind != "table" or name in metadata.tables


def include_object(_item: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:  # noqa: FBT001
    # Reflection returns an expression for such an index, and `schema.tables` has a column.
    return kind != "index" or name not in EXPRESSION_INDEXES


def render_item(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    if kind == "type" and isinstance(item, types.Millis | types.Json):
        autogen.imports.add("from schema import types")
        return f"types.{type(item).__name__}()"
    return False


def migrate(connection: Connection) -> None:
    on_postgresql = connection.dialect.name == "postgresql"
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        compare_server_default=True,
        include_name=include_name,
        include_object=include_object,
        render_item=render_item,
        render_as_batch=not on_postgresql,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        if on_postgresql:  # replicas that start together migrate one after the other
            connection.execute(text("SET LOCAL lock_timeout = '10s'"))
            connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
        context.run_migrations()


async def connect_and_migrate(url: str) -> None:
    given = make_url(url)
    driver = {"postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}[given.get_backend_name()]
    engine = create_async_engine(given.set(drivername=driver), poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
        await connection.commit()
    await engine.dispose()


if (given := context.config.attributes.get("connection")) is not None:
    migrate(given)
else:
    asyncio.run(connect_and_migrate(os.environ["DATABASE_URL"]))
