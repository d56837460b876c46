"""Writes the output of commands into `docs/commands.md`, from servers that have the examples' data.

The document is its own script: a block of `console` begins with `$ happy-server ...`, which is run, in the
order of the document, and what follows is replaced by what it prints. A question is answered with `y`.
Variables before the command count for it alone, `/srv` is the folder of `tests/support/example_places.py`.
What a machine cannot run, because it is not root or has no systemd, stays as it is.
"""

import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from click.testing import CliRunner

from happy.cli.main import run
from tests.support.environments import Environment
from tests.support.example_places import DATA_DIR, environ_of, known_key_ids, prepare
from tests.support.outside_services import Answer, Upstream
from tests.support.server_process import free_port
from tests.support.server_thread import run_server
from tests.support.terminal import until_ready

DOCUMENT = Path(__file__).parents[2] / "docs" / "commands.md"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ ((?:[A-Z0-9_]+=\S+ )*)happy-server (.*)\n", re.MULTILINE)
TIME = re.compile(r"\d{4}-\d\d-\d\d(?: \d\d:\d\d:\d\dZ)?(?!T)")
MILLIS = re.compile(r"\b\d{13}\b")
KEY_ID = re.compile(r"\b[0-9a-f]{16}\b")
NEW_INVITE = re.compile(r"(?<=^invite    )[a-z0-9]{8}$", re.MULTILINE)
TODAY = datetime(2026, 11, 28, 4, 12, 31, tzinfo=UTC)
"""What the document calls today."""

SRV = "/srv"
NAMED_BY_TIME = re.compile(r"\b\d{8}T\d{6}Z\b")
NAME = "20261128T041231Z"
INDEX = "https://pypi.example.org"
PYTHON = "/opt/pipx/venvs/happy-server/bin/python"
"""What the services of the examples run."""

NEW_KEY_IDS = ("7c1de09b52a84f63", "d2f5a6b3908e471c")
CHANGING = (
    (re.compile(r"(?<=/invite/)[a-z0-9]{24}"), "fzkmn2xb2pvbecb7x6fryzva"),
    (re.compile(r"(?<=^python   )\S+$", re.MULTILINE), "3.11.7"),
    (re.compile(r"(?<=^database  )[\d.,]+ .B$", re.MULTILINE), "2.4 MB"),
    (re.compile(r"(?<= in )[\d.]+ .?B, after [\d.]+ s$", re.MULTILINE), "8.1 kB, after 0.3 s"),
    (re.compile(r"(?<=, after )[\d.]+ s\.$", re.MULTILINE), "0.9 s."),
    (re.compile(r"process \d+ on \S+ \([0-9a-f-]+\)"), "process 812 on happy (ad1c2f0e)"),
    (re.compile(r"(?<=A copy of )[\d,]+(?= bytes)"), "503,808"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "2026-11-28T04:12:31.000Z"),
)
"""What is another one in every run, and what the document has instead."""


class Examples:
    """Runs commands beside a server, in this process; what they print is the same in every run."""

    def __init__(self, root: Path, now: int, index: str) -> None:
        self._root = root
        self._index = index
        self._invite = ""
        self._now = datetime.fromtimestamp(now / 1000, UTC)
        self._key_ids: dict[str, str] = dict.fromkeys(known_key_ids(), "")

    def output(self, variables: str, command: str) -> str | None:
        """What a terminal shows; None for what cannot be run on this machine."""
        if command.startswith(("service install", "service uninstall")) and not has_systemd():
            return None
        environ = self._environ(dict(part.split("=") for part in variables.split()), command)
        arguments = [self._real(argument) for argument in command.split()]
        if command == "serve":
            shown_port, environ["PORT"] = environ["PORT"], str(free_port())
            shown = until_ready(arguments, environ, "happy ready")
            return self._lasting(shown.replace(environ["PORT"], shown_port))
        with CliRunner().isolation(input="y\n") as (_, _, terminal):
            sys.stdin.isatty = lambda: True  # type: ignore[method-assign]
            with mock.patch.object(sys, "executable", PYTHON):
                run(arguments, environ)
            shown = terminal.getvalue().decode()
        return self._lasting(shown)

    def _environ(self, variables: dict[str, str], command: str) -> dict[str, str]:
        place = Path(variables.pop(DATA_DIR, f"{SRV}/happy")).name
        return {**environ_of(self._root, place), "HAPPY_REGISTRATION": _mode(command), **variables}

    def _real(self, argument: str) -> str:
        """The same on this machine."""
        real = argument.replace(INDEX, self._index)
        if real == SRV or real.startswith(f"{SRV}/"):
            real = f"{self._root}{real.removeprefix(SRV)}"
        if NAME in real:
            (real,) = map(str, Path("/").glob(real.lstrip("/").replace(NAME, "*")))
        return real

    def _lasting(self, shown: str) -> str:
        if made := NEW_INVITE.search(shown):
            self._invite = made[0]
        if self._invite:
            shown = shown.replace(self._invite, "t3n8w5pq")
        shown = MILLIS.sub(self._millis, shown.replace(str(self._root), SRV))
        shown = KEY_ID.sub(self._key_id, NAMED_BY_TIME.sub(NAME, TIME.sub(self._time, shown)))
        for pattern, instead in CHANGING:
            shown = pattern.sub(instead, shown)
        return shown

    def _key_id(self, found: re.Match[str]) -> str:
        """Of a secret that was made by a command: the first is always the first of NEW_KEY_IDS."""
        if found[0] not in self._key_ids:
            made = len([each for each in self._key_ids.values() if each])
            self._key_ids[found[0]] = NEW_KEY_IDS[made]
        return self._key_ids[found[0]] or found[0]

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
        if distance > timedelta():
            distance -= distance % timedelta(hours=1)
        return str(int((TODAY + distance).timestamp() * 1000))


@contextmanager
def examples() -> Iterator[Examples]:
    """Beside a light server of its own."""
    now = int(time.time()) * 1000
    logging.disable()
    try:
        with TemporaryDirectory() as folder, Upstream() as index:
            root = Path(folder).resolve()
            offered = [{"filename": "happy_server-0.2.0-py3-none-any.whl"}]
            index.on("GET", "/simple/happy-server/", Answer(json={"files": offered}))
            prepare(root, now)
            with run_server(Environment("light", environ_of(root, "happy"))):
                yield Examples(root, now, index.url)
    finally:
        logging.disable(logging.NOTSET)


def has_systemd() -> bool:
    """And may write the files of a service."""
    return os.geteuid() == 0 and all(map(shutil.which, ("systemctl", "systemd-sysusers")))


def _mode(command: str) -> str:
    """With another mode some commands warn that they have no effect."""
    return "invite" if command.startswith("invites") else "approve"


def document(text: str) -> str:
    """The text with the output of its commands."""
    with examples() as beside:
        return BLOCK.sub(lambda block: _block(block, beside), text)


def _block(block: re.Match[str], beside: Examples) -> str:
    parts = []
    for variables, command in COMMAND.findall(block[1]):
        output = beside.output(variables, command)
        if output is None:
            return block[0]
        parts.append(f"$ {variables}happy-server {command}\n{output}")
    return f"```console\n{''.join(parts)}```"


def main() -> None:
    text = DOCUMENT.read_text("utf-8")
    DOCUMENT.write_text(document(text), "utf-8")


if __name__ == "__main__":
    main()
