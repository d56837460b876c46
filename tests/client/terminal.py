"""The published command-line client in a home of its own, driven as a person drives it."""

import asyncio
import base64
import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.client.releases import FAKE_AGENT, Release

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
LINK = re.compile(r"happy://terminal\?([A-Za-z0-9_-]{43})")
ENTER = b"\r"


class Terminal:
    """One installation: an empty home, a settings folder, and the processes it started."""

    def __init__(self, home: Path, server_url: str, release: Release) -> None:
        self.release = release
        self.home = home
        self.prompts = home / "prompts"
        self.folder = home / "happy"
        self.folder.mkdir(parents=True)
        self.project = home / "project"
        self.project.mkdir()
        self._command = release.command
        self._sessions: list[subprocess.Popen[bytes]] = []
        self._environment = {
            "PATH": f"{self._commands()}:{os.environ['PATH']}",
            "HOME": str(home),
            "HAPPY_HOME_DIR": str(self.folder),
            "HAPPY_SERVER_URL": server_url,
            "TERM": "xterm-256color",
            "NO_PROXY": "127.0.0.1,localhost",
            "FAKE_AGENT_PROMPTS": str(self.prompts),
        }

    def _commands(self) -> Path:
        """A folder of programs that the client looks for: `gemini` is the agent without a model."""
        folder = self.home / "bin"
        folder.mkdir()
        gemini = folder / "gemini"
        gemini.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{FAKE_AGENT}'\n")
        gemini.chmod(0o755)
        return folder

    # -- commands ------------------------------------------------------------------------------------

    def run(self, *arguments: str, timeout: float = 60, expect: tuple[int, ...] = (0,)) -> str:
        """A command that needs no terminal; what it printed."""
        done = subprocess.run(
            [*self._command, *arguments],
            env=self._environment,
            cwd=self.project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode in expect, (
            f"happy {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}"
        )
        return done.stdout

    async def login(
        self, approve: Callable[[bytes], Awaitable[None]], *options: str, timeout: float = 60
    ) -> str:
        """`happy auth login`: choose the first way, hand the shown key to `approve`, wait for the end."""
        screen = Screen([*self._command, "auth", "login", *options], self._environment, self.project)
        try:
            async with asyncio.timeout(timeout):
                await screen.shows("How would you like to authenticate?")
                await screen.press_until(ENTER, "Mobile Authentication")
                shown = (await screen.matches(LINK)).group(1)
                await approve(base64.urlsafe_b64decode(shown + "="))
                await screen.shows("Machine ID:")
                await screen.ended()
        except TimeoutError:
            raise AssertionError(f"the login did not get further than:\n{screen.text}") from None
        finally:
            screen.close()
        return screen.text

    def start_agent(self) -> subprocess.Popen[bytes]:
        """A coding session in the terminal, with the agent that needs no model."""
        return self.start_session(*self.release.agent_arguments)

    def start_session(self, *command: str) -> subprocess.Popen[bytes]:
        """`happy ...` as a process that goes on, with its output in a file."""
        with (self.home / f"session-{len(self._sessions)}.log").open("wb") as log:
            process = subprocess.Popen(
                [*self._command, *command],
                env=self._environment,
                cwd=self.project,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._sessions.append(process)
        return process

    # -- what it wrote -------------------------------------------------------------------------------

    @property
    def credentials(self) -> dict[str, Any]:
        return json.loads((self.folder / "access.key").read_text())

    @property
    def machine_id(self) -> str:
        return json.loads((self.folder / "settings.json").read_text())["machineId"]

    def logs(self) -> str:
        """The end of everything the client logged, for a failure."""
        files = [*sorted((self.folder / "logs").glob("*")), *sorted(self.home.glob("session-*.log"))]
        return "\n".join(f"== {file.name}\n{file.read_text(errors='replace')[-6000:]}" for file in files)

    # -- the end -------------------------------------------------------------------------------------

    def clean_up(self) -> None:
        """End every process of this installation and no other: they have its folder in their environment."""
        for process in self._sessions:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for pid in self._left_over():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _left_over(self) -> list[int]:
        with contextlib.suppress(OSError, ValueError, KeyError):
            daemon = [int(json.loads((self.folder / "daemon.state.json").read_text())["pid"])]
            if not Path("/proc").is_dir():
                return daemon
        mark = f"HAPPY_HOME_DIR={self.folder}\0".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes() + b"\0":
                    found.append(int(entry.name))
        return found


class Screen:
    """A program on a pseudo terminal: what it shows, and keys for it."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        self.text = ""
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self._changed = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._master, self._read)

    def press(self, keys: bytes) -> None:
        os.write(self._master, keys)

    async def press_until(self, keys: bytes, text: str) -> None:
        """Press until the text is there: a program may show its question before it listens."""
        while text not in self.text:
            self.press(keys)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.shows(text), 0.5)

    async def shows(self, text: str) -> None:
        await self.matches(re.compile(re.escape(text)))

    async def matches(self, pattern: re.Pattern[str]) -> re.Match[str]:
        while True:
            found = pattern.search(self.text)
            if found is not None:
                return found
            assert self._process.poll() is None, f"the program ended with this on the screen:\n{self.text}"
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), 0.5)

    async def ended(self) -> None:
        code = await asyncio.to_thread(self._process.wait)
        assert code == 0, f"the program ended with {code}:\n{self.text}"

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._master)
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        os.close(self._master)

    def _read(self) -> None:
        try:
            raw = os.read(self._master, 65536)
        except OSError:  # the program has closed its end
            asyncio.get_running_loop().remove_reader(self._master)
            return
        self.text += ESCAPES.sub("", raw.decode(errors="replace"))
        self._changed.set()
