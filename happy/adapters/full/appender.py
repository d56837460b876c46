"""Appends that share commits: whoever waits while one transaction runs goes into the next, together."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from zlib import crc32

from happy.adapters.full.batch import Job, Outcome
from happy.domain.errors import Unavailable
from happy.domain.sessions import Appended

LANES = 2
"""Transactions at a time. One session is always in one of them, so its numbers are announced in order."""

MOST_JOBS = 64
MOST_MESSAGES = 512
MOST_WAITING = 1024

Commit = Callable[[list[Job]], Awaitable[list[Outcome]]]
Waiting = tuple[Job, "asyncio.Future[Appended]"]


class Appender:
    def __init__(self, commit: Commit) -> None:
        self._lanes = [Lane(commit) for _ in range(LANES)]

    async def append(self, job: Job) -> Appended:
        """Raises NotFound, and Unavailable at once when too many wait already."""
        return await self._lanes[crc32(job.session_id.encode()) % LANES].append(job)

    async def drain(self) -> None:
        for lane in self._lanes:
            await lane.drain()


class Lane:
    """One transaction after the other."""

    def __init__(self, commit: Commit) -> None:
        self._commit = commit
        self._waiting: deque[Waiting] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def append(self, job: Job) -> Appended:
        if len(self._waiting) >= MOST_WAITING:
            raise Unavailable("too many messages are waiting for the database")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Appended] = loop.create_future()
        self._waiting.append((job, done))
        if self._worker is None or self._worker.done():
            self._worker = loop.create_task(self._work())
        return await done

    async def drain(self) -> None:
        if self._worker is not None:
            await self._worker

    async def _work(self) -> None:
        while self._waiting:
            await self._run(self._next_batch())

    def _next_batch(self) -> list[Waiting]:
        batch: list[Waiting] = []
        messages = 0
        while self._waiting and len(batch) < MOST_JOBS and messages < MOST_MESSAGES:
            batch.append(self._waiting.popleft())
            messages += len(batch[-1][0].drafts)
        return batch

    async def _run(self, batch: list[Waiting]) -> None:
        """Commit a batch; after a conflict each job by itself, so that none takes its neighbours with it."""
        try:
            outcomes = await self._commit([job for job, _ in batch])
        except asyncio.CancelledError:
            _fail(batch, Unavailable("the server is stopping"))
            raise
        except Unavailable as error:
            _fail(batch, error)
        except Exception as error:  # noqa: BLE001 - it belongs to whoever appends
            if len(batch) == 1:
                _fail(batch, error)
                return
            for waiting in batch:
                await self._run([waiting])
        else:
            for (_, done), outcome in zip(batch, outcomes, strict=True):
                _resolve(done, outcome)


def _resolve(done: "asyncio.Future[Appended]", outcome: Outcome) -> None:
    if done.done():
        return
    if isinstance(outcome, Appended):
        done.set_result(outcome)
    else:
        done.set_exception(outcome)


def _fail(batch: list[Waiting], error: Exception) -> None:
    for _, done in batch:
        if not done.done():
            done.set_exception(error)
