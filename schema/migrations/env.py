"""Alembic entry point, the same for both databases: on the connection it is given, or on DATABASE_URL."""

import asyncio
import os
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection, make_url, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from schema import compatibility, effects, online, types
from schema.comparison import OPTIONS

MIGRATION_LOCK = 0x68617070  # "happ"


def render_item(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    if kind == "type" and isinstance(item, types.Millis | types.Json):
        autogen.imports.add("from schema import types")
        return f"types.{type(item).__name__}()"
    return False


def write_oldest(*_: Any, **applied: Any) -> None:
    """With each revision, in its transaction: the oldest one whose code may use the database from now on."""
    connection, heads = applied["ctx"].connection, applied["heads"]
    connection.exec_driver_sql(compatibility.DECLARED)
    connection.exec_driver_sql(compatibility.CLEAR)
    if heads:
        oldest = effects.oldest(context.script, max(heads))
        connection.execute(text(compatibility.WRITE), {"oldest": oldest})


def migrate(connection: Connection) -> None:
    on_postgresql = connection.dialect.name == "postgresql"
    context.configure(
        connection=connection,
        **OPTIONS,
        render_item=render_item,
        render_as_batch=not on_postgresql,
        transactional_ddl=True,
        on_version_apply=write_oldest,
        online=on_postgresql and context.config.attributes.get("online", False),
    )
    with context.begin_transaction():
        if on_postgresql:  # also beside a migration by a release that has no other lock
            connection.execute(text(online.LOCK_TIMEOUT))
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
