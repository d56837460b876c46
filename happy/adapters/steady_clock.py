"""Unix time that does not jump when somebody sets the clock: that of the start, and what passed since."""

import time
from typing import Final

_CLOCK: Final[int] = getattr(
    time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC
)  # sleeping counts, where that is known
_AHEAD: Final = time.time() - time.clock_gettime(_CLOCK)


def steady_time() -> float:
    """In s. For differences, and for what is compared with earlier answers alone."""
    return _AHEAD + time.clock_gettime(_CLOCK)
