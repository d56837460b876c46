"""The store on one SQLite file: a single writer and a few readers, in write-ahead-log mode."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import aiosqlite
import msgspec

from happy.adapters.free_space import require_space
from happy.adapters.light.file_guard import FileGuard
from happy.adapters.light.writer import Writer, drive
from happy.adapters.sql import accounts, messages
from happy.adapters.sql.statement import Listing, Statement
from happy.adapters.sql.transaction import SqlTransaction
from happy.domain.errors import Conflict, NotFound, Unavailable
from happy.domain.listing import Large
from happy.domain.ports.store import Body
from happy.domain.sessions import Appended, Message, MessageDraft
from happy.domain.values import AccountId, Millis, SessionId
from happy.limits import limit
from happy.services.caller import ACCOUNT, PING
from happy.services.fair_slots import FairSlots
from schema.limits import LARGE_ROW, LIST_BYTES

READERS = 1
"""More reader threads would only compete for the GIL, and all reads are short."""

MAX_WAITING = limit(
    4_096,
    "reads that wait for SQLite",
    per="replica",
    then="the newest of the account with the most of them is refused: 503",
)
WAIT_SECONDS = 30.0
BUSY_TIMEOUT = 5_000
ROWS_PER_FETCH = 64
"""Rows of a list that are fetched before their sizes are added up."""

Synchronous = Literal["NORMAL", "FULL"]
Row = TypeVar("Row")
T = TypeVar("T")


def connect(path: Path, synchronous: Synchronous = "FULL") -> sqlite3.Connection:
    """A connection in autocommit mode, so that transactions begin and end explicitly."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":  # as on file systems without shared memory
        raise sqlite3.OperationalError(f"its file system has no shared memory (journal mode {mode})")
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT}",
        f"synchronous={synchronous}",
        "foreign_keys=ON",
        "temp_store=MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}").close()
    return connection


class _ErrorMapping:
    """Translates errors of the driver into domain errors: NotFound, Conflict, Unavailable.

    A class, because a generator as context manager costs a fiftieth of an append.
    """

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if not isinstance(error, sqlite3.Error):
            return
        if not isinstance(error, sqlite3.IntegrityError):
            raise Unavailable("the database did not answer") from error
        dangling = error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY
        raise (NotFound if dangling else Conflict) from error


_mapped_errors = _ErrorMapping()


class SqliteExecutor:
    """Never suspends: it runs in the thread that owns the connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def one(self, statement: Statement[Row], **values: Any) -> Row | None:
        rows = await self.all(statement, **values)
        return rows[0] if rows else None

    async def all(self, statement: Statement[Row], **values: Any) -> list[Row]:
        compiled = statement.compiled("sqlite")
        for name in compiled.lists:
            values[name] = msgspec.json.encode(values[name]).decode()
        return statement.rows(self._connection.execute(compiled.sql, values).fetchall())

    async def listed(self, listing: Listing[Row], **values: Any) -> list[Row | Large]:
        compiled = listing.statement.compiled("sqlite")
        for name in compiled.lists:
            values[name] = msgspec.json.encode(values[name]).decode()
        whole = self._small(listing, compiled.sql, values)
        if whole is not None:
            return listing.rows(whole)
        taken, complete = listing.take(self._connection.execute(compiled.sql, values))
        rows = listing.rows(taken)
        if not complete:
            keys = self._connection.execute(listing.keys.compiled("sqlite").sql, values).fetchall()
            rows += [Large(key) for (key,) in keys[len(taken) :]]
        return rows

    def _small(self, listing: Listing[Any], sql: str, values: Mapping[str, Any]) -> list[Any] | None:
        """All rows; None if one is large, so that SQLite refuses to read it, or if their sum is too large."""
        rows: list[Any] = []
        size = 0
        usual = self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGE_ROW)
        try:
            cursor = self._connection.execute(sql, values)
            while some := cursor.fetchmany(ROWS_PER_FETCH):
                rows += some
                size += listing.size(some)
                if size > LIST_BYTES:
                    return None
        except sqlite3.DataError:
            return None
        finally:
            self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, usual)
        return rows

    async def execute(self, statement: Statement[Any], **values: Any) -> None:
        self._connection.execute(statement.compiled("sqlite").sql, values)

    async def execute_many(self, statement: Statement[Any], rows: Sequence[Mapping[str, Any]]) -> None:
        self._connection.executemany(statement.compiled("sqlite").sql, rows)


class Reader(aiosqlite.Connection):
    """A connection that runs a whole transaction body in its thread, against one snapshot."""

    async def run(self, body: Callable[[SqliteExecutor], Awaitable[T]]) -> T:
        result: T = await self._execute(_in_snapshot, self._conn, body)  # type: ignore[no-untyped-call]
        return result


def _in_snapshot(connection: sqlite3.Connection, body: Callable[[SqliteExecutor], Awaitable[T]]) -> T:
    connection.execute("BEGIN")
    try:
        return drive(body(SqliteExecutor(connection)))
    finally:
        connection.execute("ROLLBACK")


class SqliteStore:
    batch_seconds = 0.01
    """Time in s of one batch of background work: all other writes wait for it."""

    def __init__(
        self, writing: sqlite3.Connection, readers: Sequence[Reader], guard: FileGuard | None = None
    ) -> None:
        self._writing = writing
        self._executor = SqliteExecutor(writing)
        self._transaction = SqlTransaction(self._executor)
        self._writer = Writer(writing, guard)
        self._guard = guard
        self._closed = False
        self._idle = [*readers]
        self._slots = FairSlots(len(readers), MAX_WAITING)
        self.messages = SqliteMessageLog(self)

    async def read(self, body: Body[T]) -> T:
        return await self.query(lambda executor: body(SqlTransaction(executor)))

    async def query(self, body: Callable[[SqliteExecutor], Awaitable[T]], whose: str | None = None) -> T:
        """Run `body` on an idle reader, against one snapshot. Accounts take turns."""
        await self._slots.enter(ACCOUNT.get() if whose is None else whose, WAIT_SECONDS)
        reader = self._idle.pop()
        try:
            if self._closed:
                raise Unavailable("the server is shutting down")
            with _mapped_errors:
                return await reader.run(body)
        finally:
            self._idle.append(reader)
            self._slots.release()

    async def write(self, body: Body[T]) -> T:
        with _mapped_errors:
            return await self._writer.submit(partial(body, self._transaction))

    async def append(
        self, account_id: AccountId, session_id: SessionId, drafts: Sequence[MessageDraft], now: Millis
    ) -> Appended:
        with _mapped_errors:
            return await self._writer.submit(
                partial(messages.append, self._executor, account_id, session_id, drafts, now)
            )

    async def ping(self) -> None:
        """Raises Unavailable, also for a disk that is full or read-only; writes once a write has failed."""
        self._writer.require_file()
        await self.query(_ping, PING)
        if self._guard is not None:
            await asyncio.to_thread(require_space, self._guard.folder)
        if self._writer.refused:
            with _mapped_errors:
                await self._writer.submit(self._write_again)
            self._writer.refused = False

    async def _write_again(self) -> None:
        """Write the same `user_version` again: this writes a page to the log without a change."""
        (version,) = self._writing.execute("PRAGMA user_version").fetchone()
        self._writing.execute(f"PRAGMA user_version = {version}")

    async def close(self) -> None:
        """Commit what was submitted and stop. Readers belong to whoever opened them."""
        self._closed = True
        await self._writer.close()


async def _ping(executor: SqliteExecutor) -> None:
    await executor.one(accounts.EXISTING, accounts=[""])


class SqliteMessageLog:
    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def append(
        self, account_id: AccountId, session_id: SessionId, drafts: Sequence[MessageDraft], now: Millis
    ) -> Appended:
        return await self._store.append(account_id, session_id, drafts, now)

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
        return await self._store.query(
            lambda executor: messages.page(executor, listing, account_id, session_id, **values)
        )

    async def one(self, account_id: AccountId, session_id: SessionId, seq: int) -> Message | None:
        return await self._store.query(
            lambda executor: executor.one(messages.BY_SEQ, account=account_id, session=session_id, seq=seq)
        )


@asynccontextmanager
async def open_store(path: Path, synchronous: Synchronous = "FULL") -> AsyncIterator[SqliteStore]:
    """The store on a file that `schema.prepare` has made or checked."""
    async with AsyncExitStack() as stack:
        last = stack.enter_context(ExitStack())
        readers = [Reader(partial(connect, path, synchronous), iter_chunk_size=64) for _ in range(READERS)]
        for reader in readers:
            await stack.enter_async_context(reader)
        writing = connect(path, synchronous)
        writing.execute("SELECT count(*) FROM sqlite_master").fetchall()  # creates the -wal and -shm files
        guard = FileGuard(path)
        last.callback(guard.close)
        store = SqliteStore(writing, readers, guard)
        stack.push_async_callback(store.close)
        yield store
