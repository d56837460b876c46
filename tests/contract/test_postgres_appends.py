"""What a group commit of appends costs on PostgreSQL, and what is known when it fails half-way."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest

from happy.adapters.full.postgres.append import APPEND as APPEND_STATEMENT
from happy.adapters.full.postgres.append import Job, values_of
from happy.adapters.full.postgres.pool import PoolSettings
from happy.adapters.full.postgres.store import PostgresStore, open_store
from happy.domain.errors import CommitInDoubt
from happy.domain.sessions import Session
from happy.services.large_work import LARGE_BYTES
from tests.support import factories
from tests.support.factories import NOW, draft
from tests.support.until import until

pytestmark = pytest.mark.services
SETTINGS = PoolSettings(statement=5)
Way = Callable[[PostgresStore, Session, str], Awaitable[None]]
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


async def test_messages_of_others_waited_for_the_large_one_of_an_account(
    store: PostgresStore, session: Session, migrated_postgres: str
) -> None:
    """They shared its transaction or came after it, whatever it waited for: here for its session."""
    others = [await factories.session(store, await factories.account(store)) for _ in range(8)]
    async with connected(migrated_postgres) as writer, writer.transaction():
        await writer.execute('SELECT 1 FROM "Session" WHERE id = $1 FOR UPDATE', session.id)
        large = asyncio.create_task(append_large(store, session, "large"))
        behind = asyncio.create_task(append(store, session, "of the same account"))
        await asyncio.sleep(0)
        async with asyncio.timeout(SETTINGS.statement / 2):
            await asyncio.gather(*(append(store, other, "small") for other in others))
        assert not large.done()
        assert not behind.done()

    await asyncio.gather(large, behind)


async def test_small_and_large_messages_of_a_session_keep_their_order(
    store: PostgresStore, session: Session, observer: asyncpg.Connection
) -> None:
    ways: list[Way] = [append, append, append_large, append, append_large, append, append]
    done: list[str] = []

    async def send(number: int) -> None:
        await ways[number](store, session, str(number))
        done.append(str(number))

    await asyncio.gather(*map(send, range(len(ways))))
    await send(0)

    stored = await observer.fetch(
        'SELECT "localId" FROM "SessionMessage" WHERE "sessionId" = $1 ORDER BY seq', session.id
    )
    in_order = [str(number) for number in range(len(ways))]
    assert [*in_order, "0"] == done
    assert in_order == [local_id for (local_id,) in stored]


async def test_the_contents_of_messages_were_copied_to_temporary_files_again_and_again(
    store: PostgresStore, session: Session, observer: asyncpg.Connection
) -> None:
    """By each step of the statement that numbers them."""
    drafts = [draft("a" * 8_000_000, "large")]
    compiled = APPEND_STATEMENT.compiled("postgresql")
    values = values_of([Job(session.account_id, session.id, drafts, NOW)])
    plan = await observer.fetchval(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {compiled.sql}",
        *(values[name] for name in compiled.parameters),
    )

    assert 0 == json.loads(plan)[0]["Plan"]["Temp Written Blocks"]


async def lock_messages(connection: asyncpg.Connection) -> None:
    """Until the connection is closed."""
    await connection.transaction().start()
    await connection.execute('LOCK TABLE "SessionMessage" IN ACCESS EXCLUSIVE MODE')


async def append(store: PostgresStore, session: Session, *local_ids: str) -> None:
    drafts = [draft("secret", local_id) for local_id in local_ids]
    await store.messages.append(session.account_id, session.id, drafts, NOW)


async def append_large(store: PostgresStore, session: Session, local_id: str) -> None:
    drafts = [draft("a" * LARGE_BYTES, local_id)]
    await store.messages.append(session.account_id, session.id, drafts, NOW)


async def waiting(observer: asyncpg.Connection, query: str) -> bool:
    return bool(await observer.fetchval(WAIT_FOR_LOCK, query))


async def local_ids(observer: asyncpg.Connection, session: Session) -> set[str]:
    rows = await observer.fetch('SELECT "localId" FROM "SessionMessage" WHERE "sessionId" = $1', session.id)
    return {row["localId"] for row in rows}
