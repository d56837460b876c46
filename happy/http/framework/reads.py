"""Bounds how many requests of one account are reading at once, so that they do not fill the queue of all."""

from asyncio import Future, get_running_loop, timeout

from happy.domain.errors import Unavailable
from happy.limits import limit
from happy.services.fair_queue import FairQueue

MAX_READS = limit(
    4,
    "GET requests that are handled at once, up to their answer",
    per="account and replica",
    then="they wait",
)
"""An app reads some eight lists when it starts, each for a few ms."""

MAX_READ_WAIT = limit(
    5.0,
    "s that a GET request waits for others of its account",
    per="request",
    then="503",
)


class Reads:
    def __init__(self) -> None:
        self._running: dict[str, int] = {}
        self._waiting: dict[str, FairQueue[None]] = {}

    async def enter(self, account_id: str) -> None:
        """Wait until the account may read. `leave` must follow.

        Raises Unavailable after MAX_READ_WAIT: the database does not keep up.
        """
        running = self._running.get(account_id, 0)
        if running < MAX_READS:
            self._running[account_id] = running + 1
            return
        try:
            async with timeout(MAX_READ_WAIT):
                await self._wait(account_id)
        except TimeoutError as error:
            raise Unavailable("too many requests of this account at once") from error

    async def _wait(self, account_id: str) -> None:
        waiter: Future[None] = get_running_loop().create_future()
        self._waiting.setdefault(account_id, FairQueue()).add("", waiter)
        try:
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():  # it had been let in already
                self.leave(account_id)
            raise

    def leave(self, account_id: str) -> None:
        """Let the next one in."""
        waiting = self._waiting.get(account_id)
        if waiting is not None:
            waiter = waiting.pop()
            if not waiting:
                del self._waiting[account_id]
            if waiter is not None:
                waiter.set_result(None)
                return
        running = self._running[account_id] - 1
        if running:
            self._running[account_id] = running
        else:
            del self._running[account_id]
