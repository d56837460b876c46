"""Unix time that does not jump when the clock is set: the time of the start plus the monotonic clock."""

import time
from typing import Final

_CLOCK: Final[int] = getattr(
    time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC
)  # sleeping counts, where that is known
_AHEAD: Final = time.time() - time.clock_gettime(_CLOCK)


def steady_time() -> float:
    """In s. For differences, and for what is compared with earlier answers alone."""
    return _AHEAD + time.clock_gettime(_CLOCK)
