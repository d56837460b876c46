"""Says in the log of a server what long work is doing: a line now and then."""

import time
from collections.abc import Callable
from typing import Final

from happy.domain.progress import Pace, Step

FIRST_AFTER: Final = 1.0
AGAIN_AFTER: Final = 5.0


class Lines:
    """A line after a second of work, and one every 5 s after that."""

    def __init__(self, write: Callable[[str], None], first_after: float = FIRST_AFTER) -> None:
        self._write = write
        self._next = time.monotonic() + first_after
        self._pace = Pace()

    def __call__(self, step: Step) -> None:
        now = time.monotonic()
        if not self._pace.is_at(step):
            self._pace.begin(step, now)
        if now >= self._next:
            self._next = now + AGAIN_AFTER
            self._write(f"{step.doing}: {', '.join(self._pace.words(step, now))}")
