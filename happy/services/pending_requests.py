"""Questions to connections of this node that serve a method, each with an end: the reply, or the clock."""

import asyncio
import time
from collections.abc import Callable

import msgspec
from msgspec import Struct

from happy.domain.ports.rpc import LocalConnection

Outcome = msgspec.Raw | Exception | None
"""What was replied, None when that is empty; or why nothing was: TimeoutError, or the connection has gone."""

OnEnd = Callable[[Outcome], None]


class PendingRequests:
    """All have the same time, so the oldest ends first and one timer does for all: they cost no task each."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._open: dict[PendingRequest, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def ask(self, target: LocalConnection, method: str, params: msgspec.Raw | None, on_end: OnEnd) -> None:
        """Returns at once; `on_end` is called once, later."""
        question = PendingRequest(self._open, on_end, target)
        question.number = target.ask(method, params, question.replied)
        self._open[question] = time.monotonic() + self._seconds
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._look)

    def _look(self) -> None:
        """End those whose time is up, and come back for the next."""
        self._timer = None
        now = time.monotonic()
        for question, deadline in list(self._open.items()):
            if deadline > now:
                self._timer = asyncio.get_running_loop().call_later(deadline - now, self._look)
                break
            question.expire()

    def close(self) -> None:
        """Nobody waits any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for question in self._open:
            question.withdraw()
        self._open.clear()


class PendingRequest(Struct, eq=False):
    """One of those that are open."""

    among: "dict[PendingRequest, float]"
    on_end: OnEnd
    target: LocalConnection
    number: int = 0

    def replied(self, reply: Outcome) -> None:
        del self.among[self]
        self.on_end(reply)

    def expire(self) -> None:
        self.withdraw()
        del self.among[self]
        self.on_end(TimeoutError())

    def withdraw(self) -> None:
        self.target.forget(self.number)
