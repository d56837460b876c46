"""How an answer leaves: in what time at the latest, and in what form to clients of HTTP/1.0."""

import asyncio
import fcntl
import socket
import struct
import sys
import termios
from contextlib import suppress
from typing import Any

from happy.http.framework.asgi import TRANSPORT, Message
from happy.http.framework.uvicorn_protocol import UvicornProtocol

STALLED_SECONDS = 60.0
"""In which a client has to take some of what waits for it. A phone may lose its network that long."""

SOME_BYTES = 4096
AT_ONCE = struct.pack("ii", 1, 0)
"""Of SO_LINGER: on, for no time."""


class DeliveringHttp(UvicornProtocol):
    """Breaks off connections whose clients do not read, so that nobody keeps answers here by the thousand."""

    _stalled: asyncio.TimerHandle | None = None
    _waiting = 0  # bytes, when the client was looked at last

    def on_message_begin(self) -> None:
        super().on_message_begin()
        scope: Any = self.scope
        scope[TRANSPORT] = self.transport

    def on_headers_complete(self) -> None:
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before and self.scope["http_version"] == "1.0":
            _send_until_closed(self.cycle)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._waiting = sys.maxsize
        self._look()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._forget()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _look(self) -> None:
        """How much waits for the client: less than before, or it has had its time."""
        waiting = self.transport.get_write_buffer_size() + _in_the_system(self.transport)
        if waiting > self._waiting - SOME_BYTES:
            self._stalled = None
            reset(self.transport)
            return
        self._waiting = waiting
        self._stalled = self.loop.call_later(STALLED_SECONDS, self._look)

    def _forget(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None


def _in_the_system(transport: Any) -> int:
    """Bytes that the system has taken and the client has not: seconds go by until it asks for more."""
    with suppress(OSError, ValueError):
        queued = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
        return int.from_bytes(queued, sys.byteorder)
    return 0


def reset(transport: Any) -> None:
    """Break off a connection: its client is told of an error, and the system lets go of what waits for it.

    Closed in any other way, it delivers the rest and then an end like any other.
    """
    with suppress(OSError, ValueError):  # it is closed already
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    transport.abort()


def _send_until_closed(cycle: Any) -> None:
    """An answer without a length ends with its connection: HTTP/1.0 knows no chunks.

    `cycle` is uvicorn's of one request, which counts the bytes of an answer.
    """
    send = cycle.send

    async def send_plainly(message: Message) -> None:
        declared = [name.lower() for name, _ in message.get("headers", ())]
        if message["type"] == "http.response.start" and b"content-length" not in declared:
            cycle.chunked_encoding = False
            cycle.expected_content_length = sys.maxsize
        elif cycle.expected_content_length > sys.maxsize // 2 and not message.get("more_body", False):
            cycle.expected_content_length = len(message.get("body", b""))
        await send(message)

    cycle.send = send_plainly
