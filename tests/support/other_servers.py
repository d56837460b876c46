"""Databases as other servers of this protocol leave them, made from one that this server has filled."""

import subprocess
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from schema import migrate
from schema.revisions import REVISIONS

OURS = ('DELETE FROM "SimpleCache"', "DROP TABLE alembic_version")


async def forget_us_in_postgres(url: str) -> None:
    """Leave what the first migration knows: no table, column or row that only this server has."""
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"), poolclass=sa.NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(_forget_us)
    await engine.dispose()


def forget_us_in_sqlite(path: Path) -> None:
    with migrate.sqlite_connection(path) as connection:
        _forget_us(connection)


def _forget_us(connection: sa.Connection) -> None:
    migrate.downgrade(connection, REVISIONS[0])
    for statement in OURS:
        connection.exec_driver_sql(statement)


def dump(url: str, file: Path, *options: str) -> Path:
    """What `pg_dump` of PostgreSQL writes."""
    subprocess.run(["pg_dump", *options, "--file", str(file), url], check=True, capture_output=True)
    return file
