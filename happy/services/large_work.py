"""Turns for large pieces of work: each keeps the event loop for some ms, or the disk, so others get theirs.

A message of 15 MB costs some 50 ms of parsing and copying, in three or four steps, and as long for the disk.
With turns one such piece is done at a time, and the pause behind it is as long as it took: what is large has
half of the time, whoever sends it, and everything else the other half. Accounts take turns: one with a
hundred large messages does not make the message of another wait for all of them.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from happy.limits import limit
from happy.services.fair_queue import FairQueue

LARGE_BYTES = 262_144
"""Bytes from which on an event, a body or a row of a list takes turns; it costs 1 to 2 ms."""

MAX_PAUSE = limit(
    0.25,
    "s of pause behind a large piece of work (an event, a body or a row of 256 KiB and more)",
    per="replica",
    then="the next begins",
)

MAX_TURN = limit(
    1.0,
    "s that a large piece of work is alone, however long the store takes",
    per="replica",
    then="the next begins",
)

_TURN: ContextVar[int] = ContextVar("turn", default=0)
"""Number of the turn that the running work has or had, never the same; tasks that it starts inherit it."""


class LargeWork:
    """Of one process: `async with large_work.turn(account_id): ...`."""

    def __init__(self) -> None:
        self._turn = 0  # number of the current turn, or of the last one
        self._busy = False
        self._free_at = 0.0  # end of the pause
        self._waiting = FairQueue[int]()  # of accounts
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def turn(self, account_id: str) -> AsyncIterator[None]:
        """Wait for the turn, which lasts as long as the context, and at most MAX_TURN.

        One within another is part of that.
        """
        if self.in_turn:
            yield
            return
        loop = asyncio.get_running_loop()
        turn, began = await self._wait(loop, account_id), loop.time()
        too_long = loop.call_later(MAX_TURN, self._end, loop, turn, MAX_PAUSE)
        _TURN.set(turn)
        try:
            yield
        finally:
            too_long.cancel()
            self._end(loop, turn, loop.time() - began)

    @property
    def in_turn(self) -> bool:
        """Whether the running work has the turn."""
        return self._busy and _TURN.get() == self._turn

    async def _wait(self, loop: asyncio.AbstractEventLoop, account_id: str) -> int:
        if not self._busy and not self._waiting and loop.time() >= self._free_at:
            return self._begin()
        waiter: asyncio.Future[int] = loop.create_future()
        self._waiting.add(account_id, waiter)
        self._plan(loop)
        try:
            return await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():  # it had its turn already
                self._end(loop, waiter.result(), 0.0)
            raise

    def _begin(self) -> int:
        self._busy = True
        self._turn += 1
        return self._turn

    def _end(self, loop: asyncio.AbstractEventLoop, turn: int, took: float) -> None:
        if turn != self._turn or not self._busy:
            return
        self._busy = False
        self._free_at = loop.time() + min(took, MAX_PAUSE)
        self._plan(loop)

    def _plan(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin the next turn when the pause is over."""
        if self._waiting and not self._busy and self._timer is None:
            self._timer = loop.call_at(self._free_at, self._next)

    def _next(self) -> None:
        self._timer = None
        waiter = self._waiting.pop()
        if waiter is not None:
            waiter.set_result(self._begin())
