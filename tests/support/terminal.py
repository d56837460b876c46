"""A command on a terminal of its own, whose questions are answered by keys."""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parents[2]
TIMEOUT = 180.0
CONTROLLED = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    " os.execv(sys.argv[1], sys.argv[1:])"
)
"""Makes standard input the controlling terminal, whose Ctrl-C is a signal, and runs the command."""


class Shown(NamedTuple):
    """How the command ended, and what the terminal showed."""

    code: int
    text: str


def on_terminal(
    arguments: list[str], environ: Mapping[str, str], prompt: str = "", keys: str = "", columns: int = 100
) -> Shown:
    """Run the command, and press `keys` when it shows `prompt`, if there is one."""
    keyboard, screen = pty.openpty()
    termios.tcsetwinsize(screen, (24, columns))
    process = subprocess.Popen(
        [sys.executable, "-c", CONTROLLED, sys.executable, "-m", "happy", *arguments],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "TERM": "xterm", **environ},
        stdin=screen,
        stdout=screen,
        stderr=screen,
        start_new_session=True,
    )
    os.close(screen)
    shown, pressed, end = b"", False, time.monotonic() + TIMEOUT
    while (part := _read(keyboard, end)) != b"":
        shown += part
        if prompt and not pressed and prompt.encode() in shown:
            pressed = True
            _wait_until_it_reads(process.pid, end)
            os.write(keyboard, keys.encode())
    os.close(keyboard)
    if time.monotonic() >= end:
        process.kill()
    return Shown(process.wait(), shown.decode())


def until_ready(arguments: list[str], environ: Mapping[str, str], line: str) -> str:
    """What a server shows up to the end of a line with these words; it is ended by Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, "-m", "happy", *arguments],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], **environ},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        lines = []
        for shown in process.stdout:
            lines.append(shown)
            if line in shown:
                break
        return "".join(lines)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()


def _wait_until_it_reads(process: int, end: float) -> None:
    """The process sleeps: Python loses a Ctrl-C that comes between the prompt and the reading."""
    state = Path(f"/proc/{process}/stat")
    while state.exists() and time.monotonic() < end:
        if state.read_text().rpartition(")")[2].split()[0] == "S":
            return
        time.sleep(0.01)


def _read(keyboard: int, end: float) -> bytes:
    """What is shown next; nothing at the end, or when the time is over."""
    readable, _, _ = select.select([keyboard], [], [], max(end - time.monotonic(), 0))
    try:
        return os.read(keyboard, 4096) if readable else b""
    except OSError:  # Linux: nobody has the other side any more
        return b""
