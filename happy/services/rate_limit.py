"""Counting calls in a fixed window of time, in this process."""

from collections.abc import Hashable

from happy.domain.ports.clock import Elapsed
from happy.domain.values import Millis
from happy.limits import limit

MAX_CALLERS = limit(
    10_000,
    "callers with a window of a rate limit",
    per="replica",
    then="those whose window has passed are forgotten",
)
"""Callers that are kept before those whose window has passed are evicted."""


class Window:
    """At most `limit` calls of one caller within `length` ms of the first."""

    def __init__(self, limit: int, length: Millis, elapsed: Elapsed) -> None:
        self._limit = limit
        self._length = length
        self._elapsed = elapsed
        self._counts: dict[Hashable, tuple[Millis, int]] = {}

    def allow(self, caller: Hashable) -> bool:
        """Count a call and say whether it is within the limit."""
        now = self._elapsed()
        started, count = self._counts.get(caller, (now, 0))
        if now - started >= self._length:
            started, count = now, 0
        self._counts[caller] = started, count + 1
        if len(self._counts) > MAX_CALLERS:
            self._forget(now)
        return count < self._limit

    def _forget(self, now: Millis) -> None:
        self._counts = {
            caller: (started, count)
            for caller, (started, count) in self._counts.items()
            if now - started < self._length
        }
