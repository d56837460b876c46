"""The clocks of this machine, as the services take them."""

import time

from happy.domain.values import Millis


def system_clock() -> Millis:
    return Millis(time.time_ns() // 1_000_000)


def elapsed() -> Millis:
    return Millis(time.monotonic_ns() // 1_000_000)
