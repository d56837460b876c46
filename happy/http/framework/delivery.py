"""Write timeout of responses (slow readers are disconnected), and their framing for HTTP/1.0 clients."""

import asyncio
import fcntl
import socket
import struct
import sys
import termios
from contextlib import suppress
from typing import Any, ClassVar

from happy.http.framework.asgi import TRANSPORT, Message
from happy.http.framework.uvicorn_protocol import UvicornProtocol
from happy.limits import limit
from happy.services.refusals import RefusalKind

STALLED_SECONDS = limit(
    60.0, "s without a byte of a response that the peer reads", per="response", then="disconnected"
)
"""Write timeout: a client that has read none of its response for this long is disconnected. A phone may lose
its network that long."""

SLOW_ANSWER_SECONDS = limit(
    120.0, "s that an answer may wait to be read, and one more for each KiB read", per="answer", then="reset"
)
"""As for bodies of requests; the time covers what STALLED_SECONDS allows."""

ANSWER_BYTES_A_SECOND = 1024
"""Bytes read of an answer that are worth a second."""

MAX_UNREAD = limit(
    50_000_000,
    "bytes of answers that their clients have not read",
    per="replica",
    then="the one that is largest, for the longest time, is reset",
)

SOME_BYTES = 4096
SOME_SECONDS = 0.01
AT_ONCE = struct.pack("ii", 1, 0)
"""Of SO_LINGER: on, for no time."""


class DeliveringHttp(UvicornProtocol):
    """Resets connections whose clients stop reading: unread responses are memory of this process."""

    _stalled: asyncio.TimerHandle | None = None
    unread: ClassVar[dict["DeliveringHttp", float]] = {}
    """Since when clients do not read as fast as is written to them."""

    _waiting = 0  # unread bytes at the last check
    _written = 0  # unread bytes at the first check

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
        self._waiting, self._written = sys.maxsize, self._unread_bytes()
        self.unread[self] = self.loop.time()
        self._check_progress()
        if sum(each.transport.get_write_buffer_size() for each in self.unread) > MAX_UNREAD:
            max(self.unread, key=DeliveringHttp.burden).give_up()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._cancel_timeout()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timeout()
        super().connection_lost(exc)

    def _check_progress(self) -> None:
        """Reset the connection if the client reads too little, or has read nothing since the last check."""
        waiting = self._unread_bytes()
        seconds = self.loop.time() - self.unread[self]
        enough = SLOW_ANSWER_SECONDS + (self._written - waiting) / ANSWER_BYTES_A_SECOND
        if waiting > self._waiting - SOME_BYTES or seconds > enough:
            self.give_up()
            return
        self._waiting = waiting
        self._stalled = self.loop.call_later(STALLED_SECONDS, self._check_progress)

    def _unread_bytes(self) -> int:
        return int(self.transport.get_write_buffer_size()) + _kernel_buffer_size(self.transport)

    def burden(self) -> float:
        """How much memory of unread answers for how long: a large one that was just written is none."""
        seconds = self.loop.time() - self.unread[self]
        return float(self.transport.get_write_buffer_size() * (seconds + SOME_SECONDS))

    def give_up(self) -> None:
        """Reset the connection: its client reads too slowly, and what waits for it is dropped."""
        self.table.refusals(RefusalKind.SLOW_READERS, self._address)
        self._cancel_timeout()
        reset(self.transport)

    def _cancel_timeout(self) -> None:
        self.unread.pop(self, None)
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None


def _kernel_buffer_size(transport: Any) -> int:
    """Bytes in the kernel's send buffer; it may not take more for seconds although the client reads."""
    with suppress(OSError, ValueError):
        queued = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
        return int.from_bytes(queued, sys.byteorder)
    return 0


def reset(transport: Any) -> None:
    """Reset a connection (TCP RST): its client sees an error, and the kernel drops what is unsent.

    A normal close would deliver the rest and then look like the end of a complete response.
    """
    with suppress(OSError, ValueError):  # it is closed already
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    transport.abort()


def _send_until_closed(cycle: Any) -> None:
    """A response without a length ends with its connection: HTTP/1.0 has no chunked encoding.

    `cycle` is uvicorn's RequestResponseCycle, which counts the bytes of a response.
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
