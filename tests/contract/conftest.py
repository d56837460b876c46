"""Throwaway PostgreSQL databases for the tests that need one, and the adapters of every flavor."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from happy.domain.ports.repository import Store
from schema import migrate
from tests.contract.flavors import FLAVORS, Node, OpenStore, open_nodes, store_opener

SERVER = os.environ.get("HAPPY_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")


async def _on_server(*statements: str) -> None:
    connection = await asyncpg.connect(SERVER, timeout=5)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """The server to make databases on; without one a test is skipped at a desk and fails in CI."""
    try:
        asyncio.run(_on_server("SELECT 1"))
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"NO POSTGRESQL at {SERVER} ({error}): set HAPPY_TEST_POSTGRES")
    return SERVER


def _url(name: str) -> str:
    return urlsplit(SERVER)._replace(path=f"/{name}").geturl()


@pytest.fixture
async def new_postgres(postgres_server: str) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """Makes empty databases, gone after the test."""
    made: list[str] = []

    async def make() -> str:
        made.append(f"happy_test_{uuid.uuid4().hex}")
        await _on_server(f'CREATE DATABASE "{made[-1]}"')
        return _url(made[-1])

    yield make
    await _on_server(*(f'DROP DATABASE "{name}" WITH (FORCE)' for name in made))


async def _migrate(url: str) -> None:
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:", 1), poolclass=sa.NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(migrate.upgrade)
    await engine.dispose()


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str) -> Iterator[str]:
    """A database with the schema and no rows, shared by the tests of one run."""
    name = f"happy_test_{uuid.uuid4().hex}"
    asyncio.run(_on_server(f'CREATE DATABASE "{name}"'))
    asyncio.run(_migrate(_url(name)))
    yield _url(name)
    asyncio.run(_on_server(f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
async def postgres(migrated_postgres: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the migrated database whose changes are undone."""
    connection = await asyncpg.connect(migrated_postgres)
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


# -- the adapters of every flavor --------------------------------------------------------------------------


@pytest.fixture(params=FLAVORS)
def flavor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def open_store(flavor: str, tmp_path: Path) -> OpenStore:
    return store_opener(flavor, tmp_path)


@pytest.fixture
async def store(open_store: OpenStore) -> AsyncIterator[Store]:
    async with open_store() as opened:
        yield opened


@pytest.fixture
async def nodes(flavor: str) -> AsyncIterator[tuple[Node, Node]]:
    async with open_nodes(flavor) as opened:
        yield opened
