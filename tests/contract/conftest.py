"""Throwaway PostgreSQL databases for the tests that need one, and the adapters of every flavor."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from happy.adapters.full.schema import prepare
from happy.domain.ports.repository import Store
from tests.contract.flavors import FLAVORS, Node, OpenStore, full_opener, light_opener, open_nodes
from tests.object_store import ObjectStore, run_object_store

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


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str) -> Iterator[str]:
    """A database with the schema and no rows, shared by the tests of one run."""
    name = f"happy_test_{uuid.uuid4().hex}"
    asyncio.run(_on_server(f'CREATE DATABASE "{name}"'))
    asyncio.run(prepare(_url(name)))
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
def open_store(flavor: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[OpenStore]:
    if flavor == "light":
        yield light_opener(tmp_path)
        return
    url = request.getfixturevalue("migrated_postgres")
    yield full_opener(url)
    asyncio.run(_empty(url))


async def _empty(url: str) -> None:
    """All tests share one database, because making one takes a second."""
    connection = await asyncpg.connect(url)
    names = await connection.fetch("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'")
    listed = ", ".join(name for (name,) in names if name != "alembic_version")
    await connection.execute(f"TRUNCATE {listed}")
    await connection.close()


@pytest.fixture
async def store(open_store: OpenStore) -> AsyncIterator[Store]:
    async with open_store() as opened:
        yield opened


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    with run_object_store() as running:
        yield running


@pytest.fixture
async def nodes(flavor: str) -> AsyncIterator[tuple[Node, Node]]:
    async with open_nodes(flavor) as opened:
        yield opened
