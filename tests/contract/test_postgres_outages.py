"""What the way to PostgreSQL may do without anybody waiting for long."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from happy.adapters.full.postgres.pool import PoolSettings
from happy.adapters.full.postgres.store import PostgresStore, open_store
from happy.domain.errors import Unavailable
from happy.domain.ports.store import Transaction
from tests.support import factories
from tests.support.factories import NOBODY
from tests.support.redis_server import Wire

pytestmark = [pytest.mark.slow, pytest.mark.services]
ATTEMPT = PoolSettings(smallest=1, largest=2, acquire=2, statement=2)
SECONDS = 3.3
"""All that an attempt may take: its own time, giving up twice, and what a busy machine adds."""


@pytest.fixture
async def wire(migrated_postgres: str) -> AsyncIterator[Wire]:
    async with Wire(urlsplit(migrated_postgres).port or 5432) as laid:
        yield laid


@pytest.fixture
async def store(wire: Wire, migrated_postgres: str) -> AsyncIterator[PostgresStore]:
    there = urlsplit(migrated_postgres)
    user = there.netloc.rpartition("@")[0]
    url = there._replace(netloc=f"{user}@127.0.0.1:{wire.port}").geturl()
    async with open_store(url, ATTEMPT) as opened:
        yield opened


@contextmanager
def refused_in_time() -> Iterator[None]:
    began = time.monotonic()
    with pytest.raises(Unavailable):
        yield
    assert time.monotonic() - began < SECONDS


async def test_requests_on_a_silent_database_time_out(wire: Wire, store: PostgresStore) -> None:
    await store.ping()
    wire.hold()
    with refused_in_time():
        await store.ping()
    with refused_in_time():
        await factories.account(store)
    wire.release()

    await factories.account(store)


async def test_a_transaction_that_meets_silence_ends_soon(wire: Wire, store: PostgresStore) -> None:
    async def falling_silent(tx: Transaction) -> None:
        wire.hold()
        await tx.accounts.existing([NOBODY])

    with refused_in_time():
        await store.write(falling_silent)
    wire.release()

    await store.ping()


async def test_a_cancelled_caller_releases_its_connection(store: PostgresStore) -> None:
    for _ in range(2 * ATTEMPT.largest):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), store.connection() as connection:
                await connection.execute("SELECT pg_sleep(20)")

    await store.ping()
