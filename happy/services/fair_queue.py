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

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, key: str, waiter: asyncio.Future[T]) -> None:
        self._waiting.setdefault(key, deque()).append(waiter)

    def pop(self) -> asyncio.Future[T] | None:
        """The next that still waits, which has to be woken; None if there is none."""
        while self._waiting:
            key = next(iter(self._waiting))
            waiters = self._waiting.pop(key)
            waiter = waiters.popleft()
            if waiters:
                self._waiting[key] = waiters  # behind the others
            if not waiter.done():
                return waiter
        return None
