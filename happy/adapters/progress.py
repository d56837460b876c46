"""How long work says what it is doing: line by line, in the log of a server or on the stderr of a command."""

import time
from collections.abc import Callable
from typing import Final

Progress = Callable[[str], None]
"""Called again and again with what is being done now."""

FIRST_AFTER: Final = 1.0
AGAIN_AFTER: Final = 5.0


class Lines:
    """A line after a second of work, and one every 5 s after that."""

    def __init__(self, write: Progress) -> None:
        self._write = write
        self._next = time.monotonic() + FIRST_AFTER

    def __call__(self, words: str) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + AGAIN_AFTER
            self._write(words)
