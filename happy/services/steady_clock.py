"""A monotonic clock for times that clients sort by."""

from happy.domain.ports.clock import Clock
from happy.domain.values import MINUTE, Millis

LARGEST_STEP = 60 * MINUTE
"""After a larger step back, in ms, the clock is followed: it was wrong before."""


class SteadyClock:
    """The time of the clock; while that has stepped back, 1 ms more than the time given before.

    What is changed later is later, in every list of an account. Durations and presence need the real time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = Millis(0)

    def __call__(self) -> Millis:
        now = self._clock()
        behind = self._last - now
        self._last = now if behind <= 0 or behind > LARGEST_STEP else Millis(self._last + 1)
        return self._last
