"""Time, the one thing outside that every use case needs."""

from typing import Protocol

from happy.domain.values import Millis


class Clock(Protocol):
    """The current time."""

    def __call__(self) -> Millis: ...
