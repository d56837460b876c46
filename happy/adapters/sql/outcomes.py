"""Outcomes of a group commit, given to those who wait a few at a time, in order."""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any

Outcome = tuple["asyncio.Future[Any]", Any, BaseException | None]
"""Who waits, and the result or the error."""

AT_ONCE = 8
"""Each wakes a task, which sends a message to all clients of an account: thousands of them take ms."""


class Outcomes:
    """Wakes AT_ONCE in each iteration of the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Outcome] = deque()

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Wake these behind those of former commits."""
        is_planned = bool(self._waiting)
        self._waiting.extend(outcomes)
        if not is_planned:
            self._wake_some()

    def _wake_some(self) -> None:
        for _ in range(min(AT_ONCE, len(self._waiting))):
            _wake(*self._waiting.popleft())
        if self._waiting:
            self._loop.call_soon(self._wake_some)


def _wake(done: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)
