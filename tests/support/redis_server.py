"""A Redis of the test's own, to stop and start, and a wire to it that can be cut."""

import asyncio
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import create_connection
from typing import Self

from tests.support.server_process import free_port
from tests.support.services import missing


class OwnRedis:
    """It keeps nothing on disk: a restart is a loss of memory, unless it is only `paused`."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self.socket = folder / "redis.sock"
        self._folder = folder
        self._more = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        binary = shutil.which("redis-server")
        if binary is None:
            missing("redis-server is not installed")
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        options += ["--unixsocket", str(self.socket), *self._more]
        command = [binary, *options, "--dir", str(self._folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(1500):
            with suppress(OSError), create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.02)
        raise RuntimeError("redis-server does not answer")

    async def command(self, *parts: str) -> bytes:
        """One command, and its answer as it is on the wire."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write((" ".join(parts) + "\r\nQUIT\r\n").encode())
        answer = await reader.read()
        writer.close()
        return answer

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """It keeps its memory and its connections, and answers nobody."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None, "not running"
        self._process.send_signal(number)


@contextmanager
def own_redis(folder: Path, *options: str) -> Iterator[OwnRedis]:
    redis = OwnRedis(folder, *options)
    redis.start()
    try:
        yield redis
    finally:
        redis.stop()


class Wire:
    """A way to a port that can be cut and mended, or hold back everything while it seems to be there."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.release()
        await self.cut()
        await asyncio.sleep(0.05)

    @property
    def connections(self) -> int:
        """How many are open; while the wire holds, also those that one end has given up."""
        return len(self._writers) // 2

    def leads_to(self, port: int) -> None:
        """Connections from now on go there."""
        self._to = port

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", self.port)

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()

    def hold(self) -> None:
        """Nothing arrives any more, and nobody is told."""
        self._flowing.clear()

    def release(self) -> None:
        self._flowing.set()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        self._writers -= {writer, far_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
