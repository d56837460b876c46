"""Group commit of appends: those queued while one transaction runs share the next one.

A message of 15 MB takes PostgreSQL 100 ms and more, and holds the row of its account as long. So large
appends have a worker of their own, and while an account has any there, all of its appends go there: in their
order, and without keeping those of others waiting for that row.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from zlib import crc32

from happy.adapters.full.postgres.append import Job, Outcome
from happy.adapters.sql.outcomes import Outcomes
from happy.domain.errors import Unavailable
from happy.domain.sessions import Appended
from happy.domain.values import AccountId
from happy.limits import limit
from happy.services.large_work import LARGE_BYTES

WORKERS = 2
"""Concurrent transactions of small appends. The small ones of a session always have the same worker, so its
updates are published in order."""

MAX_JOBS = limit(
    64, "appends that share a transaction", per="transaction", then="the next transaction takes the others"
)
MAX_MESSAGES = limit(
    512, "messages that share a transaction", per="transaction", then="the next transaction takes the others"
)
MAX_BYTES = limit(
    1024 * 1024,
    "bytes of messages that share a transaction",
    per="transaction",
    then="the next transaction takes the others; a larger message is alone",
)
MAX_QUEUED = limit(1024, "appends that wait for PostgreSQL", per="replica", then="503")
QUEUE_SECONDS = 5.0
"""Timeout in the queue: an append that is older is refused, which keeps the queue short under overload."""

Commit = Callable[[list[Job]], Awaitable[list[Outcome]]]


class QueuedAppend(NamedTuple):
    job: Job
    done: "asyncio.Future[Appended]"
    since: float
    size: int
    after: "asyncio.Future[Appended] | None"
    """What another worker has to commit before, or to give up."""


class AppendQueue:
    def __init__(self, commit: Commit) -> None:
        outcomes = Outcomes(asyncio.get_running_loop())  # one, so that they have the order of the commits
        self._small = [AppendWorker(commit, outcomes) for _ in range(WORKERS)]
        self._large = AppendWorker(commit, outcomes)
        self._accounts = Counter[AccountId]()  # whose appends the large worker has, and how many

    async def append(self, job: Job) -> Appended:
        """Raises NotFound, and Unavailable: at once when the queue is full, later after a timeout in it."""
        size = sum([len(draft.content) for draft in job.drafts])
        small = self._small[crc32(job.session_id.encode()) % WORKERS]
        if size < LARGE_BYTES and job.account_id not in self._accounts:
            return await small.append(job, size)
        self._accounts[job.account_id] += 1
        try:
            return await self._large.append(job, size, after=small.newest)
        finally:
            self._leave(job.account_id)

    def _leave(self, account_id: AccountId) -> None:
        self._accounts[account_id] -= 1
        if not self._accounts[account_id]:
            del self._accounts[account_id]

    async def drain(self) -> None:
        for worker in (*self._small, self._large):
            await worker.drain()


class AppendWorker:
    """A queue of appends, and a task that commits them in one transaction after the other."""

    def __init__(self, commit: Commit, outcomes: Outcomes) -> None:
        self._commit = commit
        self._queue: deque[QueuedAppend] = deque()
        self._batch: list[QueuedAppend] = []  # is being committed
        self._task: asyncio.Task[None] | None = None
        self._outcomes = outcomes

    @property
    def newest(self) -> "asyncio.Future[Appended] | None":
        """Of what is not committed."""
        return next((appends[-1].done for appends in (self._queue, self._batch) if appends), None)

    async def append(
        self, job: Job, size: int, *, after: "asyncio.Future[Appended] | None" = None
    ) -> Appended:
        if len(self._queue) >= MAX_QUEUED:
            raise Unavailable("too many messages are waiting for the database")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Appended] = loop.create_future()
        self._queue.append(QueuedAppend(job, done, loop.time(), size, after))
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._work())
        return await done

    async def drain(self) -> None:
        if self._task is not None:
            await self._task

    async def _work(self) -> None:
        while self._queue:
            self._batch = self._next_batch()
            if self._batch:
                await _wait_for_others(self._batch)
                await self._commit_batch(self._batch)
                self._batch = []

    def _next_batch(self) -> list[QueuedAppend]:
        batch: list[QueuedAppend] = []
        messages = size = 0
        oldest = asyncio.get_running_loop().time() - QUEUE_SECONDS
        while self._queue and len(batch) < MAX_JOBS and messages < MAX_MESSAGES:
            if batch and size + self._queue[0].size > MAX_BYTES:
                break
            waiting = self._queue.popleft()
            if waiting.since < oldest:
                _fail([waiting], Unavailable("the database did not answer in time"))
                continue
            batch.append(waiting)
            messages += len(waiting.job.drafts)
            size += waiting.size
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


async def _wait_for_others(batch: list[QueuedAppend]) -> None:
    if others := {each.after for each in batch if each.after is not None and not each.after.done()}:
        await asyncio.wait(others)


def _fail(batch: list[QueuedAppend], error: Exception) -> None:
    for waiting in batch:
        if not waiting.done.done():
            waiting.done.set_exception(error)
