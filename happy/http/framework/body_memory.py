"""Bounds the memory of all bodies that are held at once, whatever the number of connections.

Bytes are counted as they arrive, until the request is answered. Beyond the bound bodies wait (backpressure),
except for the one that began first, so that one can always be completed: with a bound of 16 MB and five
bodies of 10 MB each, one is read whole, and the others wait with what has arrived. Those that arrive too
slowly meanwhile are closed, for they would keep others waiting.
"""

import asyncio
from types import TracebackType
from typing import Any, Final, Self

from happy.domain.errors import Unavailable
from happy.http.framework.delivery import reset
from happy.http.framework.limits import MAX_HELD_BODIES, MAX_HELD_SMALL_BODIES, MAX_SMALL_BODY

PATIENCE_SECONDS: Final = 1.0
"""How long a body waits for room until slower ones are closed, in s."""

SLOW_BYTES: Final = 16_384
"""Bodies of which fewer bytes arrive in PATIENCE_SECONDS are closed while others wait for room."""

LONGEST_WAIT: Final = 20.0
"""How long a body waits for room until it is refused, in s."""

BUSY: Final = "Too many large requests at once"


class BodyShare:
    """What one request holds. Given back at the end of the context."""

    __slots__ = ("_memory", "_pool", "_transport", "taken", "waiting")

    def __init__(self, memory: "BodyMemory", transport: Any) -> None:
        self.taken = 0
        self.waiting = False
        self._memory = memory
        self._pool: _Pool | None = None
        self._transport = transport

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    async def take(self, size: int) -> None:
        """`size` more bytes have arrived; returns when there is room to read on. Raises Unavailable."""
        pool = self._memory.pool(self.taken + size)
        if pool is not self._pool:
            self._leave()
            self._pool = pool
            pool.reading[self] = None
            pool.held += self.taken
        self.taken += size
        pool.held += size
        if pool.held > pool.limit and not pool.is_first(self):
            await pool.wait(self)

    def give(self, size: int) -> None:
        """So many bytes are not held any more, although more are to come."""
        self.taken -= size
        if self._pool is not None:
            self._pool.held -= size
            self._pool.wake()

    def complete(self) -> None:
        """All of the body has arrived."""
        if self._pool is not None:
            del self._pool.reading[self]
            self._pool.wake()

    def _leave(self) -> None:
        if self._pool is not None:
            self._pool.held -= self.taken
            self._pool.reading.pop(self, None)
            self._pool.wake()
            self._pool = None

    def close(self) -> None:
        """Reset the connection: who sends so slowly does not wait for an answer."""
        if self._transport is not None:
            reset(self._transport)


class _Pool:
    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self.reading: dict[BodyShare, None] = {}  # incomplete ones, in the order in which they began
        self._waiters: list[asyncio.Future[None]] = []

    def is_first(self, share: BodyShare) -> bool:
        return next(iter(self.reading), None) is share

    async def wait(self, share: BodyShare) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + LONGEST_WAIT
        share.waiting = True
        try:
            while self.held > self.limit and not self.is_first(share):
                if loop.time() > until:
                    raise Unavailable(BUSY)
                before = {other: other.taken for other in self.reading if not other.waiting}
                if not await self._woken(loop):
                    self._close_slow(before)
        finally:
            share.waiting = False

    async def _woken(self, loop: asyncio.AbstractEventLoop) -> bool:
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiters.append(waiter)
        done, _ = await asyncio.wait([waiter], timeout=PATIENCE_SECONDS)
        if not done:
            self._waiters.remove(waiter)
        return bool(done)

    def _close_slow(self, before: dict[BodyShare, int]) -> None:
        for other, taken in before.items():
            if other in self.reading and not other.waiting and other.taken - taken < SLOW_BYTES:
                other.close()

    def wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


class BodyMemory:
    """Of one process. Small bodies have room of their own, and do not wait for large ones."""

    def __init__(self, *, small: int = MAX_HELD_SMALL_BODIES, large: int = MAX_HELD_BODIES) -> None:
        self._small = _Pool(small)
        self._large = _Pool(large)

    @property
    def held(self) -> int:
        """Bytes that are held now."""
        return self._small.held + self._large.held

    def pool(self, size: int) -> _Pool:
        return self._small if size <= MAX_SMALL_BODY else self._large

    def share(self, transport: Any = None) -> BodyShare:
        """What a request holds; `transport` is that of its connection."""
        return BodyShare(self, transport)
