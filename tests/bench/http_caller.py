"""An HTTP/1.1 client that costs next to nothing: prepared requests on one kept connection."""

import asyncio
import time
from collections.abc import Iterator
from typing import TypeVar, cast

from tests.bench.load import Load

END_OF_HEAD = b"\r\n\r\n"
OK = b"HTTP/1.1 200 "
LENGTH = b"content-length:"


def request(method: str, path: str, token: str, body: bytes | None = None) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}"]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


class HttpCaller(asyncio.Protocol):
    """Sends the next request when the last one is answered with 200."""

    def __init__(self, load: Load, requests: Iterator[bytes]) -> None:
        self._load = load
        self._requests = requests
        self._began = 0.0
        self._head = b""
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by birth

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.fail(f"the server closed the connection: {exc}")

    def start(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(next(self._requests))

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        elif not self._read_head(data):
            return
        if self._missing == 0:
            self.answered()

    def answered(self) -> None:
        self._load.done(self._began)
        if not self._load.over:
            self.start()

    def _read_head(self, data: bytes) -> bool:
        """Learn how much of the answer is to come; False while not even its head is complete."""
        self._head = data = self._head + data
        end = data.find(END_OF_HEAD)
        if end < 0:
            return False
        self._head = b""
        head = data[:end].lower()
        if not data.startswith(OK) or LENGTH not in head:
            self._load.fail(f"unexpected answer: {data[:300]!r}")
            return False
        length = int(head.partition(LENGTH)[2].partition(b"\r")[0])
        self._missing = length - (len(data) - end - len(END_OF_HEAD))
        return True


class Poster(HttpCaller):
    """Counts when a socket receives its message; the next one goes out when the last was answered too."""

    _missed = 2

    def start(self) -> None:
        self._missed = 2
        super().start()

    def arrived(self) -> None:
        self._load.done(self._began)
        self._go_on()

    def answered(self) -> None:
        self._go_on()

    def _go_on(self) -> None:
        self._missed -= 1
        if self._missed == 0 and not self._load.over:
            self.start()


Kind = TypeVar("Kind", bound=HttpCaller)


async def connect(load: Load, port: int, requests: Iterator[bytes]) -> HttpCaller:
    return await connect_as(HttpCaller, load, port, requests)


async def connect_as(kind: type[Kind], load: Load, port: int, requests: Iterator[bytes]) -> Kind:
    loop = asyncio.get_running_loop()
    _, caller = await loop.create_connection(lambda: kind(load, requests), "127.0.0.1", port)
    return caller
