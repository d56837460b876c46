"""Shows on stderr what a command is doing once it takes longer than a second: a bar, or lines in a pipe.

The thread that shows it goes on while a single statement of a database takes minutes.
"""

import os
import sys
import threading
import time
from types import TracebackType
from typing import Final, Self, TextIO

from happy.domain.progress import Pace, Step

FIRST_AFTER: Final = 1.0
AGAIN_AFTER: Final = 0.2
LINE_AFTER: Final = 10.0
"""Seconds; a pipe is often a log that somebody reads."""

CLEARED: Final = "\r\033[K"
WIDTH: Final = 80
"""Of a terminal that does not say it."""

NARROWEST: Final = 8
WIDEST: Final = 30
"""Characters of a bar: where fewer would fit there is none."""


class ProgressBar:
    """Called again and again with the step that is being done; shown until `end` or the end of the block."""

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        first_after: float = FIRST_AFTER,
        line_after: float = LINE_AFTER,
    ) -> None:
        """On stderr, unless another stream is given; `line_after` is for a pipe. Seconds."""
        self._stream = stream or sys.stderr
        self._first_after, self._line_after = first_after, line_after
        terminal = self._stream is not None and self._stream.isatty()
        self._redraws = terminal and os.environ.get("TERM") != "dumb"
        self._pace = Pace()
        self._step: Step | None = None
        self._drawn = False
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._show, daemon=True, name="progress")

    def __enter__(self) -> Self:
        if self._stream is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self.end()

    def __call__(self, step: Step) -> None:
        if not self._pace.is_at(step):
            self._pace.begin(step, time.monotonic())
        self._step = step

    def end(self) -> None:
        """Clear the line: what is printed next replaces it."""
        with self._lock:
            self._step = None
            if self._drawn:
                self._drawn = False
                self._write(CLEARED)

    def _show(self) -> None:
        pause = AGAIN_AFTER if self._redraws else self._line_after
        after = self._first_after if self._redraws else self._line_after
        while not self._over.wait(after):
            after = pause
            with self._lock:
                if self._step is not None and not self._over.is_set():
                    self._draw(self._step, time.monotonic())

    def _draw(self, step: Step, now: float) -> None:
        words = self._pace.words(step, now)
        if not self._redraws:
            self._write(f"{step.doing}: {', '.join(words)}\n")
            return
        self._drawn = True
        self._write(CLEARED + line(step, words, self._pace.share(step), self._columns() - 1))

    def _columns(self) -> int:
        """Of stderr: stdout may be a pipe."""
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or WIDTH
        except OSError:
            return WIDTH

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # nobody reads it any more
            self._over.set()


def line(step: Step, words: list[str], share: float | None, width: int) -> str:
    """Like `reading  [#####     ]  48 %  1.2 MB of 2.5 MB`, cut to the width: a line that wraps stays."""
    described = "  ".join(words)
    room = width - len(step.doing) - len(described) - len("  []  ")
    if share is None or room < NARROWEST:
        return f"{step.doing}  {described}"[:width]
    cells = min(room, WIDEST)
    filled = int(share * cells)
    return f"{step.doing}  [{'#' * filled}{' ' * (cells - filled)}]  {described}"
