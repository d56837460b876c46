"""Bounds how many requests of one account are reading at once, so that they do not fill the queue of all."""

from asyncio import Future, get_running_loop

from happy.limits import limit
from happy.services.fair_queue import FairQueue

MAX_READS = limit(
    4,
    "GET requests that are handled at once, up to their answer",
    per="account and replica",
    then="they wait",
)
"""An app reads some eight lists when it starts, each for a few ms."""


class Reads:
    def __init__(self) -> None:
        self._running: dict[str, int] = {}
        self._waiting: dict[str, FairQueue[None]] = {}

    async def enter(self, account_id: str) -> None:
        """Wait until the account may read. `leave` must follow."""
        running = self._running.get(account_id, 0)
        if running < MAX_READS:
            self._running[account_id] = running + 1
            return
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
