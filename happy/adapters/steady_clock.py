"""Unix time that does not jump when the clock is set: the time of the start plus the monotonic clock."""

import time
from typing import Final

_CLOCK: Final[int] = getattr(
    time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC
)  # includes the time that the machine sleeps, where the system has such a clock
_AHEAD: Final = time.time() - time.clock_gettime(_CLOCK)


def steady_time() -> float:
    """In s. Use it for differences, and to compare times of this process."""
    return _AHEAD + time.clock_gettime(_CLOCK)
