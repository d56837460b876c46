"""A server process of its own: started on an empty home, killed and started again at will."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import httpx

from happy.settings import DATABASE_NAME

REPOSITORY = Path(__file__).resolve().parents[2]
LISTENING = range(10_000, 32_000)
"""Below the ports that systems choose from by themselves."""

START_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0
PROGRAM = (sys.executable, "-m", "happy")
LIGHT_DATA = "HAPPY_SERVER_LIGHT_DATA_DIR"


def free_port() -> int:
    """One that no outgoing connection is given while the server that listens there is away."""
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            port = secrets.choice(LISTENING)
            probe.bind(("0.0.0.0", port))
            return port


class Server:
    """One server on one port; what it keeps at home, or where `variables` say, outlives the process."""

    def __init__(
        self,
        home: Path,
        *,
        flavor: str = "light",
        variables: Mapping[str, str] | None = None,
        port: int | None = None,
        folder: Path = REPOSITORY,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        """`folder` is its working directory, where a light server looks for `.env`."""
        self.program = program
        self.home = home
        self.folder = folder
        self.flavor = flavor
        self.variables = dict(variables or {})
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = home / "server.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def database(self) -> Path:
        """The light flavor's database file."""
        return Path(self.variables.get(LIGHT_DATA, self.home / ".happy" / "server-light")) / DATABASE_NAME

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()

    async def start(self) -> None:
        """Start and wait for the first healthy answer."""
        self.home.mkdir(parents=True, exist_ok=True)
        command = [*self.program, "serve", "--flavor", self.flavor]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: ASYNC220 - returns at once, the wait below does not block
                command, cwd=self.folder, env=self._environment(), stdout=log, stderr=subprocess.STDOUT
            )
        try:
            await self._wait_until_healthy()
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """`kill -9`: nothing is flushed, no socket is closed in order."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    async def stop(self) -> int:
        """Ask it to end (SIGTERM), as an operator does; the exit code."""
        assert self.process is not None, "not running"
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.to_thread(process.wait, STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    async def command(self, *arguments: str) -> str:
        """What `happy-server` prints, run beside it with the same variables."""
        process = await asyncio.create_subprocess_exec(
            *(*self.program, "--flavor", self.flavor, *arguments),
            cwd=self.folder,
            env={**self._environment(), "PUBLIC_URL": self.url},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return out.decode()

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "PORT": str(self.port),
            "METRICS_ENABLED": "false",
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": str(REPOSITORY),
            **self.variables,
        }

    async def _wait_until_healthy(self) -> None:
        assert self.process is not None
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, verify=False, timeout=2) as client:
            for _ in range(int(START_TIMEOUT / 0.02)):
                if self.process.poll() is not None:
                    raise RuntimeError(f"the server ended with {self.process.returncode}:\n{self.log_text()}")
                try:
                    if (await client.get("/health")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.02)
        raise RuntimeError(f"not healthy within {START_TIMEOUT} s:\n{self.log_text()}")


def temporary_home() -> Path:
    """An empty home for a script outside pytest; the caller removes it."""
    return Path(tempfile.mkdtemp(prefix="happy-server-"))
