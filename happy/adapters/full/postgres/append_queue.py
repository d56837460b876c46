"""Appends that share commits: whoever waits while one transaction runs goes into the next, together."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from zlib import crc32

from happy.adapters.full.postgres.append import Job, Outcome
from happy.domain.errors import Unavailable
from happy.domain.sessions import Appended

LANES = 2
"""Transactions at a time. One session is always in one of them, so its numbers are announced in order."""

MAX_JOBS = 64
MAX_MESSAGES = 512
MAX_WAITING = 1024
WAIT_SECONDS = 5.0
"""Who has waited longer when his turn comes is refused: those behind him would wait longer still."""

Commit = Callable[[list[Job]], Awaitable[list[Outcome]]]


class Waiting(NamedTuple):
    job: Job
    done: "asyncio.Future[Appended]"
    since: float


class AppendQueue:
    def __init__(self, commit: Commit) -> None:
        self._lanes = [Lane(commit) for _ in range(LANES)]

    async def append(self, job: Job) -> Appended:
        """Raises NotFound, and Unavailable: at once when too many wait already, later after a long wait."""
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
        if len(self._waiting) >= MAX_WAITING:
            raise Unavailable("too many messages are waiting for the database")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Appended] = loop.create_future()
        self._waiting.append(Waiting(job, done, loop.time()))
        if self._worker is None or self._worker.done():
            self._worker = loop.create_task(self._work())
        return await done

    async def drain(self) -> None:
        if self._worker is not None:
            await self._worker

    async def _work(self) -> None:
        while self._waiting:
            if batch := self._next_batch():
                await self._run(batch)

    def _next_batch(self) -> list[Waiting]:
        batch: list[Waiting] = []
        messages = 0
        in_time = asyncio.get_running_loop().time() - WAIT_SECONDS
        while self._waiting and len(batch) < MAX_JOBS and messages < MAX_MESSAGES:
            waiting = self._waiting.popleft()
            if waiting.since < in_time:
                _fail([waiting], Unavailable("the database did not answer in time"))
                continue
            batch.append(waiting)
            messages += len(waiting.job.drafts)
        return batch

    async def _run(self, batch: list[Waiting]) -> None:
        """Commit a batch; after a conflict each job by itself, so that none takes its neighbours with it."""
        try:
            outcomes = await self._commit([waiting.job for waiting in batch])
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
            for waiting, outcome in zip(batch, outcomes, strict=True):
                _resolve(waiting.done, outcome)


def _resolve(done: "asyncio.Future[Appended]", outcome: Outcome) -> None:
    if done.done():
        return
    if isinstance(outcome, Appended):
        done.set_result(outcome)
    else:
        done.set_exception(outcome)


def _fail(batch: list[Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.done.done():
            waiting.done.set_exception(error)
