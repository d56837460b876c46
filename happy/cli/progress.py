"""What a command is doing, on one line of a terminal, once it takes longer than a second."""

import sys
import time
from typing import Final

import click

from happy.cli.output import printable

FIRST_AFTER: Final = 1.0
AGAIN_AFTER: Final = 0.2
"""Seconds."""


class Progress:
    """Called again and again with what was done so far; on stderr, and silent where that is no terminal."""

    def __init__(self) -> None:
        self._next = time.monotonic() + FIRST_AFTER
        self._shown = False

    def __call__(self, words: str) -> None:
        now = time.monotonic()
        if now < self._next or not sys.stderr.isatty():
            return
        self._next, self._shown = now + AGAIN_AFTER, True
        click.echo(f"\r\033[K{_cut(printable(words))}", nl=False, err=True)

    def end(self) -> None:
        """Clear the line: what is printed next replaces it."""
        if self._shown:
            self._shown = False
            click.echo("\r\033[K", nl=False, err=True)


def _cut(words: str) -> str:
    """To the width of the terminal: a line that wraps could not be cleared."""
    import shutil

    return words[: max(shutil.get_terminal_size().columns - 1, 1)]
