"""Databases on the tests' PostgreSQL server, gone after use; a copy costs less than a migration."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg

from happy.adapters.full.postgres.schema import prepare
from tests.support.services import ANSWER_SECONDS, POSTGRES


async def create(template: str = "template1") -> str:
    """The address of a new database, equal to the template: to a database that nobody is connected to."""
    name = f"happy_test_{secrets.token_hex(8)}"
    await _on_server(f'CREATE DATABASE "{name}" TEMPLATE "{_name(template)}"')
    return urlsplit(POSTGRES)._replace(path=f"/{name}").geturl()


async def create_migrated() -> str:
    """The address of a new database with the schema and no rows."""
    url = await create()
    await prepare(url)
    return url


async def drop(*urls: str) -> None:
    """Whoever is connected still."""
    await _on_server(*(f'DROP DATABASE "{_name(url)}" WITH (FORCE)' for url in urls))


@asynccontextmanager
async def new_database(*, migrated: bool = True) -> AsyncIterator[str]:
    """A database with the schema and no rows, or with no table at all; gone afterwards."""
    url = await (create_migrated() if migrated else create())
    try:
        yield url
    finally:
        await drop(url)


def _name(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


async def _on_server(*statements: str) -> None:
    connection = await asyncpg.connect(POSTGRES, timeout=ANSWER_SECONDS)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
