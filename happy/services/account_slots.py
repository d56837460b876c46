"""Bounds how much of one kind is done at once for each account, so that none fills the queue of all."""

from asyncio import Future, get_running_loop, timeout
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from happy.domain.errors import Unavailable
from happy.services.fair_queue import FairQueue


class AccountSlots:
    """`most` at once of each account; a further one waits in order, for `seconds` at most."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._running: dict[str, int] = {}
        self._waiting: dict[str, FairQueue[None]] = {}

    async def enter(self, account_id: str) -> None:
        """Wait for a slot. `release` must follow. Raises Unavailable if none is free in time."""
        if self.try_enter(account_id):
            return
        try:
            async with timeout(self._seconds):
                await self._wait(account_id)
        except TimeoutError as error:
            raise Unavailable("too many requests of this account at once") from error

    def try_enter(self, account_id: str) -> bool:
        """Take a slot if one is free. If so, `release` must follow."""
        running = self._running.get(account_id, 0)
        if running >= self._most:
            return False
        self._running[account_id] = running + 1
        return True

    def in_use(self, account_id: str) -> bool:
        return account_id in self._running

    @asynccontextmanager
    async def slot(self, account_id: str) -> AsyncIterator[None]:
        """One slot during the block. Raises Unavailable."""
        await self.enter(account_id)
        try:
            yield
        finally:
            self.release(account_id)

    async def _wait(self, account_id: str) -> None:
        waiter: Future[None] = get_running_loop().create_future()
        self._waiting.setdefault(account_id, FairQueue()).add("", waiter)
        try:
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():  # it had been let in already
                self.release(account_id)
            raise

    def release(self, account_id: str) -> None:
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
