"""Group commit of appends: those queued while one transaction runs share the next one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from zlib import crc32

from happy.adapters.full.postgres.append import Job, Outcome
from happy.adapters.sql.outcomes import Outcomes
from happy.domain.errors import Unavailable
from happy.domain.sessions import Appended
from happy.limits import limit

WORKERS = 2
"""Concurrent transactions. A session always has the same worker, so its updates are published in order."""

MAX_JOBS = limit(
    64, "appends that share a transaction", per="transaction", then="the next transaction takes the others"
)
MAX_MESSAGES = limit(
    512, "messages that share a transaction", per="transaction", then="the next transaction takes the others"
)
MAX_QUEUED = limit(1024, "appends that wait for PostgreSQL", per="replica", then="503")
QUEUE_SECONDS = 5.0
"""Timeout in the queue: an append that is older is refused, which keeps the queue short under overload."""

Commit = Callable[[list[Job]], Awaitable[list[Outcome]]]


class QueuedAppend(NamedTuple):
    job: Job
    done: "asyncio.Future[Appended]"
    since: float


class AppendQueue:
    def __init__(self, commit: Commit) -> None:
        self._tasks = [AppendWorker(commit) for _ in range(WORKERS)]

    async def append(self, job: Job) -> Appended:
        """Raises NotFound, and Unavailable: at once when the queue is full, later after a timeout in it."""
        return await self._tasks[crc32(job.session_id.encode()) % WORKERS].append(job)

    async def drain(self) -> None:
        for worker in self._tasks:
            await worker.drain()


class AppendWorker:
    """A queue of appends, and a task that commits them in one transaction after the other."""

    def __init__(self, commit: Commit) -> None:
        self._commit = commit
        self._queue: deque[QueuedAppend] = deque()
        self._task: asyncio.Task[None] | None = None
        self._outcomes = Outcomes(asyncio.get_running_loop())

    async def append(self, job: Job) -> Appended:
        if len(self._queue) >= MAX_QUEUED:
            raise Unavailable("too many messages are waiting for the database")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Appended] = loop.create_future()
        self._queue.append(QueuedAppend(job, done, loop.time()))
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._work())
        return await done

    async def drain(self) -> None:
        if self._task is not None:
            await self._task

    async def _work(self) -> None:
        while self._queue:
            if batch := self._next_batch():
                await self._commit_batch(batch)

    def _next_batch(self) -> list[QueuedAppend]:
        batch: list[QueuedAppend] = []
        messages = 0
        oldest = asyncio.get_running_loop().time() - QUEUE_SECONDS
        while self._queue and len(batch) < MAX_JOBS and messages < MAX_MESSAGES:
            waiting = self._queue.popleft()
            if waiting.since < oldest:
                _fail([waiting], Unavailable("the database did not answer in time"))
                continue
            batch.append(waiting)
            messages += len(waiting.job.drafts)
        return batch

    async def _commit_batch(self, batch: list[QueuedAppend]) -> None:
        """Commit a batch; after an error each job by itself, so that only the job that caused it fails."""
        try:
            outcomes = await self._commit([waiting.job for waiting in batch])
        except asyncio.CancelledError:
            _fail(batch, Unavailable("the server is stopping"))
            raise
        except Unavailable as error:
            _fail(batch, error)
        except Exception as error:  # noqa: BLE001 - it is raised by `append`
            if len(batch) == 1:
                _fail(batch, error)
                return
            for waiting in batch:
                await self._commit_batch([waiting])
        else:
            self._outcomes.add(
                (waiting.done, *((outcome, None) if isinstance(outcome, Appended) else (None, outcome)))
                for waiting, outcome in zip(batch, outcomes, strict=True)
            )


def _fail(batch: list[QueuedAppend], error: Exception) -> None:
    for waiting in batch:
        if not waiting.done.done():
            waiting.done.set_exception(error)
