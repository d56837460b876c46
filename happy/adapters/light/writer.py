"""Group commit on SQLite: one thread owns the writing connection and commits queued jobs together."""

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from happy.adapters.light.file_guard import FileGuard
from happy.adapters.sql.outcomes import Outcome, Outcomes
from happy.domain.errors import CommitInDoubt, Unavailable
from happy.limits import limit

MAX_BATCH = limit(
    256, "writes that share a commit", per="transaction", then="the next commit takes the others"
)
FILE_CHECK_SECONDS = 1.0
"""How often an idle writer checks that the database file still exists, in s."""

COUNT_SECONDS = 1.0
"""How often, in s, commits count on in the header of the database, which costs a page of the log."""

T = TypeVar("T")
Job = tuple[Callable[[], Awaitable[Any]], "asyncio.Future[Any]"]

log = logging.getLogger(__name__)


def drive(body: Awaitable[T]) -> T:
    """Run a coroutine that never suspends. Raises RuntimeError for one that does (see `ports.store.Body`)."""
    steps = body.__await__()
    try:
        next(steps)
    except StopIteration as stop:
        result: T = stop.value
        return result
    steps.close()
    raise RuntimeError("a transaction body may await nothing but its transaction")


class Writer:
    """Group commit: every job that waits when the thread is free shares one COMMIT.

    A job runs in its own savepoint, so that one that fails does not affect the others.
    Callers return only after the shared COMMIT.
    """

    def __init__(self, connection: sqlite3.Connection, guard: FileGuard | None = None) -> None:
        """`guard` detects a database file that was deleted or replaced."""
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._connection = connection
        self._guard = guard
        self._closed = False
        self._counted = float("-inf")
        self.refused = False
        """Whether the last write failed because the disk or the file accepted none."""

        self._outcomes = Outcomes(self._loop)
        self._thread = threading.Thread(target=self._work, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def submit(self, body: Callable[[], Awaitable[T]]) -> T:
        """Run `body` in the writer thread and return once it is durable. Raises Unavailable."""
        if self._closed:
            raise Unavailable("the server is shutting down")
        self.require_file()
        done: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put((body, done))
        return await done

    def require_file(self) -> None:
        """Raises Unavailable when the database file is not the one that is open any more."""
        if self._guard is not None and self._guard.lost:
            raise Unavailable(self._guard.lost)

    async def close(self) -> None:
        """Commit what was submitted, then stop. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        self._connection.close()

    def _work(self) -> None:
        while batch := self._next_batch():
            outcomes = self._commit(batch)
            self._loop.call_soon_threadsafe(self._outcomes.add, outcomes)

    def _next_batch(self) -> list[Job]:
        """Wait for a job, then take all that queued up meanwhile. Empty means close."""
        batch: list[Job] = []
        job = self._next_job()
        while job is not None:
            batch.append(job)
            if len(batch) == MAX_BATCH or self._jobs.empty():
                return batch
            job = self._jobs.get()
        if batch:
            self._jobs.put(None)
        return batch

    def _next_job(self) -> Job | None:
        """Wait for a job; meanwhile check the database file every `FILE_CHECK_SECONDS`."""
        while True:
            try:
                return self._jobs.get(timeout=None if self._guard is None else FILE_CHECK_SECONDS)
            except queue.Empty:
                self._file_is_lost()

    def _file_is_lost(self) -> bool:
        """If only the write-ahead log was deleted, which is still open, a checkpoint saves its contents."""
        if self._guard is None or self._guard.check() is None:
            return False
        if self._guard.only_log_deleted:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("PRAGMA wal_checkpoint").fetchall()
        return True

    def _commit(self, batch: list[Job]) -> list[Outcome]:
        execute, before = self._connection.execute, self._connection.total_changes
        try:
            execute("BEGIN IMMEDIATE")
            outcomes = [self._run(body, done) for body, done in batch]
            if self._guard is not None and self._connection.total_changes > before:
                self._count_on()
            execute("COMMIT")
        except sqlite3.Error as error:
            self.refused = True
            self._roll_back()
            log.exception("the database refused a commit")
            unavailable = Unavailable("the database refused a commit")
            unavailable.__cause__ = error
            return [(done, None, unavailable) for _, done in batch]
        if self._connection.total_changes > before:
            self.refused = False
        if self._guard is not None and not self._guard.is_untouched() and self._file_is_lost():
            return [(done, None, CommitInDoubt(self._guard.lost)) for _, done in batch]
        return outcomes

    def _count_on(self) -> None:
        """Make the database a later one: SQLite's own counter does not change in write-ahead-log mode.

        The guard recognises by this an older copy, though it was made while this server ran.
        """
        now = time.monotonic()
        if now - self._counted < COUNT_SECONDS:
            return
        self._counted = now
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        self._connection.execute(f"PRAGMA user_version = {version + 1}")

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:  # if the connection is unusable, the next BEGIN fails
            log.exception("the database refused a rollback")

    def _run(self, body: Callable[[], Awaitable[Any]], done: "asyncio.Future[Any]") -> Outcome:
        execute = self._connection.execute
        execute("SAVEPOINT job")
        try:
            result = drive(body())
        except BaseException as error:  # raised by `submit`
            if not self._connection.in_transaction:  # disk full, I/O error
                raise sqlite3.OperationalError("the database rolled back the shared transaction") from error
            self.refused |= isinstance(error, sqlite3.OperationalError)
            execute("ROLLBACK TO job")
            execute("RELEASE job")
            return done, None, error
        execute("RELEASE job")
        return done, result, None
