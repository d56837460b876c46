"""Bounds how much the database does at once in all; those who wait for it take turns by account."""

import asyncio

from happy.domain.errors import Unavailable
from happy.services.fair_queue import FairQueue


class FairSlots:
    """`most` at once. Of too many who wait, the newest of the account that has most of them is refused."""

    def __init__(self, most: int, waiting: int) -> None:
        self._free = most
        self._most_waiting = waiting
        self._queue = FairQueue[None]()

    async def enter(self, whose: str, seconds: float) -> None:
        """Wait for a slot. `release` must follow. Raises Unavailable after so many seconds, or if refused."""
        if self._free and not self._queue:
            self._free -= 1
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.add(whose, waiter)
        if len(self._queue) > self._most_waiting:
            self._refuse(self._queue.drop(whose))
        try:
            async with asyncio.timeout(seconds):
                await self._wait(waiter)
        except TimeoutError as error:
            raise Unavailable("the database did not answer in time") from error

    async def _wait(self, waiter: "asyncio.Future[None]") -> None:
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled() and waiter.exception() is None:  # it had its slot already
                self.release()
            raise

    def _refuse(self, waiter: "asyncio.Future[None]") -> None:
        if not waiter.done():
            waiter.set_exception(Unavailable("too many requests are waiting for the database"))

    def release(self) -> None:
        """Let the next one in."""
        waiter = self._queue.pop()
        if waiter is None:
            self._free += 1
        else:
            waiter.set_result(None)
