"""The store on PostgreSQL: raw asyncpg, serialization retries, group commit of appends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Generic, TypeVar

import asyncpg

from happy.adapters.full.postgres import dsn
from happy.adapters.full.postgres.append import Job, Outcome, append_all
from happy.adapters.full.postgres.append_queue import AppendQueue
from happy.adapters.full.postgres.errors import (
    CANNOT_WRITE,
    ROLLBACK_SECONDS,
    in_doubt,
    is_out_of_connections,
    map_errors,
    transaction,
)
from happy.adapters.full.postgres.pool import PoolSettings, Writes, close_pool, open_pool, pool_settings
from happy.adapters.sql import messages
from happy.adapters.sql.statement import Listing, Statement
from happy.adapters.sql.transaction import SqlTransaction
from happy.domain.errors import Conflict, Unavailable
from happy.domain.listing import Large
from happy.domain.ports.store import Body
from happy.domain.sessions import Appended, Message, MessageDraft
from happy.domain.values import AccountId, Millis, SessionId
from happy.services.caller import ACCOUNT, APPENDS, PING
from happy.services.fair_slots import FairSlots

RETRY_PAUSES = (0.1, 0.2, 0.3)
"""Seconds between attempts after a serialization conflict."""

DRAIN_SECONDS = 2.0
RETRYABLE = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
ACQUIRE_RETRY_PAUSE = 0.02
"""Seconds between attempts when PostgreSQL has no connection left."""

READ_ONLY = """
SELECT current_setting('transaction_read_only') = 'on' FROM (SELECT 1) AS probe
  LEFT JOIN (SELECT 1 FROM "Account" WHERE id = '') AS nobody ON TRUE
"""
"""Whether the database is a standby or read-only. Fails if our tables cannot be read."""

Row = TypeVar("Row")
T = TypeVar("T")


class PostgresExecutor:
    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.is_running = False

    async def one(self, statement: Statement[Row], **values: Any) -> Row | None:
        rows = await self.all(statement, **values)
        return rows[0] if rows else None

    async def all(self, statement: Statement[Row], **values: Any) -> list[Row]:
        return statement.rows(await self._execute(self._connection.fetch, statement, values))

    async def listed(self, listing: Listing[Row], **values: Any) -> list[Row | Large]:
        return listing.rows(await self._execute(self._connection.fetch, listing.statement, values))

    async def execute(self, statement: Statement[Any], **values: Any) -> None:
        await self._execute(self._connection.execute, statement, values)

    async def execute_many(self, statement: Statement[Any], rows: Sequence[Mapping[str, Any]]) -> None:
        compiled = statement.compiled("postgresql")
        values = [[row[name] for name in compiled.parameters] for row in rows]
        self.is_running = True
        await self._connection.executemany(compiled.sql, values)
        self.is_running = False

    async def _execute(
        self, how: Callable[..., Awaitable[Any]], statement: Statement[Any], values: Mapping[str, Any]
    ) -> Any:
        compiled = statement.compiled("postgresql")
        self.is_running = True
        result = await how(compiled.sql, *[values[name] for name in compiled.parameters])
        self.is_running = False
        return result


class TransactionGuard(Generic[T]):
    """Runs a unit of work that may await only its statements: anything else would occupy a connection."""

    def __init__(self, body: Body[T], executor: PostgresExecutor) -> None:
        self._body = body
        self._executor = executor

    def __await__(self) -> Generator[Any, Any, T]:
        work = self._body(SqlTransaction(self._executor)).__await__()
        try:
            waiting_for = next(work)
            while self._executor.is_running:
                try:
                    value = yield waiting_for
                except BaseException as error:  # noqa: BLE001 - it is thrown into the body
                    waiting_for = work.throw(error)
                else:
                    waiting_for = work.send(value)
        except StopIteration as ended:
            result: T = ended.value
            return result
        work.throw(RuntimeError("a unit of work may await nothing but its transaction"))
        raise RuntimeError("a unit of work went on after it was stopped")


class PostgresStore:
    batch_seconds = 0.03
    """Time in s of one batch of background work: short, so that other statements are not delayed."""

    def __init__(self, pool: asyncpg.Pool, settings: PoolSettings) -> None:
        self._pool = pool
        self._settings = settings
        self._borrowed = 0
        self._slots = FairSlots(settings.largest, settings.waiting)
        self.writes = Writes(pool)
        self.messages = PostgresMessageLog(self)

    async def read(self, body: Body[T]) -> T:
        async with self.connection() as connection:
            return await TransactionGuard(body, PostgresExecutor(connection))

    async def write(self, body: Body[T]) -> T:
        for pause in RETRY_PAUSES:
            try:
                return await self._attempt(body)
            except RETRYABLE:
                await asyncio.sleep(pause)
        with map_errors():
            try:
                return await self._attempt(body)
            except RETRYABLE as error:
                raise Unavailable("too many conflicting changes") from error

    async def _attempt(self, body: Body[T]) -> T:
        return await self.commit(lambda connection: TransactionGuard(body, PostgresExecutor(connection)))

    async def commit(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Run `work` in a transaction. Raises CommitInDoubt when the outcome of the commit is unknown."""
        done: list[T] = []
        try:
            async with self.connection() as connection, transaction(connection):
                done.append(await work(connection))
        except Unavailable as error:
            if done:
                raise in_doubt(error) from None
            raise
        self.writes.succeeded()
        return done[0]

    async def drain(self) -> None:
        """Wait for queued appends and running work, up to DRAIN_SECONDS."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await self.messages.drain()
                while self._borrowed:  # noqa: ASYNC110 - once in a life, and rarely
                    await asyncio.sleep(DRAIN_SECONDS / 200)

    async def ping(self) -> None:
        """Raises Unavailable, also for a database that is read-only or full."""
        async with self.connection(PING) as connection:
            if await connection.fetchval(READ_ONLY):
                await self.writes.refused()
                raise Unavailable("the database is read-only")
        self.writes.require()

    @asynccontextmanager
    async def connection(self, whose: str | None = None) -> AsyncIterator[Any]:
        """A connection of the pool; accounts take turns, of which `whose` names another than the caller.

        Raises Unavailable: after a timeout, or at once, for the account with the most of too many that wait.
        """
        self._borrowed += 1
        try:
            await self._slots.enter(ACCOUNT.get() if whose is None else whose, self._settings.acquire)
            try:
                async with self._connected() as connection:
                    yield connection
            finally:
                self._slots.release()
        finally:
            self._borrowed -= 1

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Any]:
        with map_errors():
            connection = await self._acquire()
            try:
                yield connection
            except CANNOT_WRITE as error:
                await self.writes.refused(full=isinstance(error, asyncpg.DiskFullError))
                raise
            finally:
                with suppress(TimeoutError):  # after a timeout it is closed
                    await self._pool.release(connection, timeout=ROLLBACK_SECONDS)

    async def _acquire(self) -> Any:
        """While PostgreSQL refuses new connections, wait for one of those that are open."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.acquire
        while True:
            try:
                return await self._pool.acquire(timeout=max(deadline - loop.time(), 0))
            except asyncpg.PostgresError as error:
                if not is_out_of_connections(error) or loop.time() + ACQUIRE_RETRY_PAUSE > deadline:
                    raise Unavailable("the database gives no connection") from error
                await asyncio.sleep(ACQUIRE_RETRY_PAUSE)


class PostgresMessageLog:
    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self._append_queue = AppendQueue(self._commit)

    async def append(
        self, account_id: AccountId, session_id: SessionId, drafts: Sequence[MessageDraft], now: Millis
    ) -> Appended:
        return await self._append_queue.append(Job(account_id, session_id, drafts, now))

    async def drain(self) -> None:
        """Wait until every append that was queued has ended."""
        await self._append_queue.drain()

    async def _commit(self, jobs: list[Job]) -> list[Outcome]:
        if len(jobs) > 1:  # after a conflict they are tried one by one
            return await self._append(jobs)
        for pause in RETRY_PAUSES:
            try:
                return await self._append(jobs)
            except (Conflict, *RETRYABLE):
                await asyncio.sleep(pause)
        raise Unavailable("too many conflicting changes")

    async def _append(self, jobs: list[Job]) -> list[Outcome]:
        """One statement is a transaction by itself, in one round trip."""
        sent = False
        try:
            async with self._store.connection(APPENDS) as connection:
                sent = True
                outcomes = await append_all(PostgresExecutor(connection), jobs)
        except Unavailable as error:
            if sent:
                raise in_doubt(error) from None
            raise
        self._store.writes.succeeded()
        return outcomes

    async def after(
        self, account_id: AccountId, session_id: SessionId, seq: int, limit: int
    ) -> list[Message | Large]:
        return await self._page(messages.AFTER, account_id, session_id, seq=seq, limit=limit)

    async def before(
        self, account_id: AccountId, session_id: SessionId, seq: int, limit: int
    ) -> list[Message | Large]:
        return await self._page(messages.BEFORE, account_id, session_id, seq=seq, limit=limit)

    async def newest(self, account_id: AccountId, session_id: SessionId, limit: int) -> list[Message | Large]:
        return await self._page(messages.NEWEST, account_id, session_id, limit=limit)

    async def _page(
        self, listing: Listing[Message], account_id: AccountId, session_id: SessionId, **values: int
    ) -> list[Message | Large]:
        async with self._store.connection() as connection:
            executor = PostgresExecutor(connection)
            return await messages.page(executor, listing, account_id, session_id, **values)

    async def one(self, account_id: AccountId, session_id: SessionId, seq: int) -> Message | None:
        async with self._store.connection() as connection:
            executor = PostgresExecutor(connection)
            return await executor.one(messages.BY_SEQ, account=account_id, session=session_id, seq=seq)


@asynccontextmanager
async def open_store(url: str, settings: PoolSettings | None = None) -> AsyncIterator[PostgresStore]:
    """The store on a database whose schema is up to date. Raises Unavailable when it cannot be reached."""
    address = dsn.parse(url)
    chosen = settings or pool_settings(address)
    with map_errors():
        pool = await open_pool(address, chosen)
    store = PostgresStore(pool, chosen)
    try:
        yield store
    finally:
        await store.drain()
        await close_pool(pool)
