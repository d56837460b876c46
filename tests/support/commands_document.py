"""Writes the output of commands into `docs/commands.md`, from a light server that has the example's data.

The document is its own script: a block of `console` begins with `$ happy-server ...`, which is run, in the
order of the document, and what follows is replaced by what it prints. A question is answered with `y`.
"""

import asyncio
import logging
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from click.testing import CliRunner

from happy.cli.main import run
from happy.settings import load
from tests.support.environments import Environment
from tests.support.example_server import fill
from tests.support.rows import open_rows
from tests.support.server_thread import run_server

DOCUMENT = Path(__file__).parents[2] / "docs" / "commands.md"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ happy-server (.*)\n", re.MULTILINE)
TIME = re.compile(r"\d{4}-\d\d-\d\d(?: \d\d:\d\d:\d\dZ)?")
MILLIS = re.compile(r"\b\d{13}\b")
NEW_INVITE = re.compile(r"(?<=^invite    )[a-z0-9]{8}$", re.MULTILINE)
TODAY = datetime(2026, 11, 28, 4, 12, 31, tzinfo=UTC)
"""What the document calls today."""

FOLDER = "/srv/happy"
SECRET = "the secret of the examples"
CHANGING = (
    (re.compile(r"(?<=/invite/)[a-z0-9]{24}"), "fzkmn2xb2pvbecb7x6fryzva"),
    (re.compile(r"(?<=^python   )\S+$", re.MULTILINE), "3.11.7"),
    (re.compile(r"(?<=^database  )[\d.,]+ .B$", re.MULTILINE), "2.4 MB"),
)
"""What is another one in every run, and what the document has instead."""


class Examples:
    """Runs commands beside a server, in this process; what they print is the same in every run."""

    def __init__(self, environ: Mapping[str, str], now: int) -> None:
        self._environ = environ
        self._folder = environ["HAPPY_SERVER_LIGHT_DATA_DIR"]
        self._invite = ""
        self._now = datetime.fromtimestamp(now / 1000, UTC)

    def output(self, command: str) -> str:
        """What a terminal shows."""
        with CliRunner().isolation(input="y\n") as (_, _, terminal):
            sys.stdin.isatty = lambda: True  # type: ignore[method-assign]
            run(command.split(), {**self._environ, "HAPPY_REGISTRATION": _mode(command)})
            shown = terminal.getvalue().decode()
        if made := NEW_INVITE.search(shown):
            self._invite = made[0]
        if self._invite:
            shown = shown.replace(self._invite, "t3n8w5pq")
        shown = MILLIS.sub(self._millis, TIME.sub(self._time, shown)).replace(self._folder, FOLDER)
        for pattern, instead in CHANGING:
            shown = pattern.sub(instead, shown)
        return shown

    def _time(self, found: re.Match[str]) -> str:
        """A time as far from the document's today; what is later counts in whole hours."""
        if len(found[0]) == len("2026-11-28"):
            days = datetime.fromisoformat(found[0]).date() - self._now.date()
            return f"{TODAY.date() + days}"
        distance = datetime.fromisoformat(found[0]) - self._now
        if distance > timedelta():
            distance -= distance % timedelta(hours=1)
        return f"{TODAY + distance:%Y-%m-%d %H:%M:%SZ}"

    def _millis(self, found: re.Match[str]) -> str:
        distance = datetime.fromtimestamp(int(found[0]) / 1000, UTC) - self._now
        return str(int((TODAY + distance).timestamp() * 1000))


@contextmanager
def examples() -> Iterator[Examples]:
    """Beside a light server of its own."""
    now = int(time.time()) * 1000
    with TemporaryDirectory() as folder:
        environ = {
            "HAPPY_SERVER_LIGHT_DATA_DIR": folder,
            "HANDY_MASTER_SECRET": SECRET,
            "PUBLIC_URL": "https://happy.example.org",
        }
        with CliRunner().isolation():
            run(["migrate"], environ)
        asyncio.run(_fill(environ, now))
        logging.disable()
        try:
            with run_server(Environment("light", environ)):
                yield Examples(environ, now)
        finally:
            logging.disable(logging.NOTSET)


async def _fill(environ: Mapping[str, str], now: int) -> None:
    async with open_rows(load(environ, flavor="light")) as rows:
        await fill(rows, now)


def _mode(command: str) -> str:
    """With another mode some commands warn that they have no effect."""
    return "invite" if command.startswith("invites") else "approve"


def document(text: str) -> str:
    """The text with the output of its commands."""
    with examples() as beside:
        return BLOCK.sub(lambda block: _block(block[1], beside), text)


def _block(script: str, beside: Examples) -> str:
    parts = [f"$ happy-server {command}\n{beside.output(command)}" for command in COMMAND.findall(script)]
    return f"```console\n{''.join(parts)}```"


def main() -> None:
    text = DOCUMENT.read_text("utf-8")
    DOCUMENT.write_text(document(text), "utf-8")


if __name__ == "__main__":
    main()
