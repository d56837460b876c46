"""What a group commit of appends costs on PostgreSQL, and what is known when it fails half-way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from happy.adapters.full.postgres.pool import PoolSettings
from happy.adapters.full.postgres.store import PostgresStore, open_store
from happy.domain.errors import CommitInDoubt
from happy.domain.sessions import Session
from tests.support import factories
from tests.support.factories import NOW, draft
from tests.support.until import until

pytestmark = pytest.mark.services
SETTINGS = PoolSettings(statement=5)
APPEND = "WITH owned AS"
LAST_STATEMENT = """
SELECT query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
 ORDER BY state_change DESC LIMIT 1
"""
WAIT_FOR_LOCK = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE $1
"""


@pytest.fixture
async def store(migrated_postgres: str) -> AsyncIterator[PostgresStore]:
    async with open_store(migrated_postgres, SETTINGS) as opened:
        yield opened


@pytest.fixture
async def session(store: PostgresStore) -> Session:
    return await factories.session(store, await factories.account(store))


@pytest.fixture
async def observer(migrated_postgres: str) -> AsyncIterator[asyncpg.Connection]:
    async with connected(migrated_postgres) as connection:
        yield connection


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def test_a_group_of_appends_is_one_statement_without_begin_and_commit(
    store: PostgresStore, session: Session, observer: asyncpg.Connection
) -> None:
    await asyncio.gather(*(append(store, session, f"{number}") for number in range(8)))

    last: str = await observer.fetchval(LAST_STATEMENT)
    assert last.startswith(APPEND)
    transactions = await observer.fetch(
        'SELECT DISTINCT xmin::text FROM "SessionMessage" WHERE "sessionId" = $1', session.id
    )
    assert 1 == len(transactions)


async def test_an_append_that_stored_a_message_and_failed_later_is_in_doubt(
    store: PostgresStore, session: Session, observer: asyncpg.Connection, migrated_postgres: str
) -> None:
    """Its second statement looks for the repeated message, and finds the table locked until it times out."""
    await append(store, session, "repeated")
    async with connected(migrated_postgres) as writer, connected(migrated_postgres) as migration:
        async with writer.transaction():
            await writer.execute('SELECT 1 FROM "Session" WHERE id = $1 FOR UPDATE', session.id)
            sent = asyncio.create_task(append(store, session, "repeated", "new"))
            await until(lambda: waiting(observer, f"{APPEND}%"))
            lock = asyncio.create_task(lock_messages(migration))
            await until(lambda: waiting(observer, "LOCK TABLE%"))
        with pytest.raises(CommitInDoubt):
            await sent
        await lock

    assert {"repeated", "new"} == await local_ids(observer, session)


async def lock_messages(connection: asyncpg.Connection) -> None:
    """Until the connection is closed."""
    await connection.transaction().start()
    await connection.execute('LOCK TABLE "SessionMessage" IN ACCESS EXCLUSIVE MODE')


async def append(store: PostgresStore, session: Session, *local_ids: str) -> None:
    drafts = [draft("secret", local_id) for local_id in local_ids]
    await store.messages.append(session.account_id, session.id, drafts, NOW)


async def waiting(observer: asyncpg.Connection, query: str) -> bool:
    return bool(await observer.fetchval(WAIT_FOR_LOCK, query))


async def local_ids(observer: asyncpg.Connection, session: Session) -> set[str]:
    rows = await observer.fetch('SELECT "localId" FROM "SessionMessage" WHERE "sessionId" = $1', session.id)
    return {row["localId"] for row in rows}
