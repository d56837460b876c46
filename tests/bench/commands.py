"""Commands of `happy-server` under measurement: how long they take, and their memory."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress

from tests.support.server_process import REPOSITORY


class Command:
    """A command of `happy-server` as a process that can be stopped and goes on."""

    def __init__(self, flavor: str, variables: Mapping[str, str], *arguments: str) -> None:
        self._began = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "happy", "--flavor", flavor, *arguments],
            cwd=REPOSITORY,
            env=dict(variables),
            stdout=subprocess.DEVNULL,
        )
        self.seconds = 0.0
        self.peak_mb = 0.0
        self.over = asyncio.create_task(asyncio.to_thread(self._wait))

    def _wait(self) -> None:
        _, status, usage = os.wait4(self._process.pid, 0)
        self.seconds = time.perf_counter() - self._began
        self.peak_mb = usage.ru_maxrss / 1024
        self._process.returncode = os.waitstatus_to_exitcode(status)
        if self._process.returncode:
            raise RuntimeError(f"{self._process.args!r} ended with {self._process.returncode}")

    def pause(self) -> None:
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        self._send(signal.SIGCONT)

    def _send(self, number: int) -> None:
        if not self.over.done():
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, number)
