"""Wall-clock time and elapsed time."""

from typing import Protocol

from happy.domain.values import Millis


class Clock(Protocol):
    """The current time, as it is stored and shown. It may be set, forward and back, at any moment."""

    def __call__(self) -> Millis: ...


class Elapsed(Protocol):
    """The time that has passed since some moment: for how long something lasts, and is not stored."""

    def __call__(self) -> Millis: ...
