"""A queue of those who wait for a turn, in which accounts or addresses come one after the other."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Whoever has a hundred waiting does not make another wait for all of them."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Future[T]]] = {}  # in the order of their turns
        self._count = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def __len__(self) -> int:
        """How many wait, with those that were cancelled and are not forgotten yet."""
        return self._count

    def add(self, key: str, waiter: asyncio.Future[T]) -> None:
        self._waiting.setdefault(key, deque()).append(waiter)
        self._count += 1

    def pop(self) -> asyncio.Future[T] | None:
        """The next that still waits, which has to be woken; None if there is none."""
        while self._waiting:
            key = next(iter(self._waiting))
            waiters = self._waiting.pop(key)
            waiter = waiters.popleft()
            self._count -= 1
            if waiters:
                self._waiting[key] = waiters  # behind the others
            if not waiter.done():
                return waiter
        return None

    def drop(self, newest: str) -> asyncio.Future[T]:
        """Forget the newest of those that have most waiting; where several have, that of `newest`."""
        key = max(self._waiting, key=lambda each: (len(self._waiting[each]), each == newest))
        waiter = self._waiting[key].pop()
        self._count -= 1
        if not self._waiting[key]:
            del self._waiting[key]
        return waiter
