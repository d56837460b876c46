"""Throwaway PostgreSQL databases for the tests that need one, and the adapters of every flavor."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from happy.domain.ports.store import Store
from schema.tables import metadata
from tests.contract.flavors import OpenStore, Replica, full_opener, light_opener, open_replicas
from tests.support import databases, services
from tests.support.object_store import ObjectStore, run_object_store


@pytest.fixture
async def new_postgres() -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """Makes databases without a table, gone after the test."""
    made: list[str] = []

    async def make() -> str:
        made.append(await databases.create())
        return made[-1]

    yield make
    await databases.drop(*made)


@pytest.fixture(scope="session")
def migrated_postgres(postgres_template: str) -> Iterator[str]:
    """A database with the schema and no rows, shared by the tests of one run."""
    url = services.result_of(databases.create(postgres_template))
    yield url
    services.result_of(databases.drop(url))


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


@pytest.fixture
def open_store(flavor: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[OpenStore]:
    if flavor == "light":
        yield light_opener(tmp_path)
        return
    url = request.getfixturevalue("migrated_postgres")
    yield full_opener(url)
    asyncio.run(_empty(url))


async def _empty(url: str) -> None:
    """All tests share one database. For a few rows this is much quicker than TRUNCATE, or than a new one."""
    connection = await asyncpg.connect(url)
    await connection.execute(";".join(f'DELETE FROM "{table}"' for table in reversed(metadata.sorted_tables)))
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
async def replicas(flavor: str) -> AsyncIterator[tuple[Replica, Replica]]:
    async with open_replicas(flavor) as opened:
        yield opened
