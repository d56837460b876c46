"""Limits that uvicorn lacks: read timeouts, the size of a head, framing of bodies, one Host header."""

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Any

import httptools

from happy.http.framework import request_limits as limits
from happy.http.framework.asgi import Message
from happy.http.framework.body_watch import BodyWatch
from happy.http.framework.handshake_headers import of_handshake
from happy.http.framework.open_files import are_scarce, out_of_files
from happy.http.framework.sequential_http import SequentialHttp
from happy.services.connection_table import Standing, TableEntry
from happy.services.refusals import RefusalKind
from happy.telemetry import LimitedLog

CONNECTION_HEADERS = frozenset({b"connection", b"keep-alive"})

log = logging.getLogger(__name__)
malformed = LimitedLog(log, "malformed HTTP request")
too_large = LimitedLog(log, "refused a request whose head is too large")


class Malformed(Exception):
    """Not a request of HTTP/1.1; the parser passes it on as an error of its own."""


class HeadTooLarge(Malformed):
    """The request head is larger than HEAD_BYTES, or has more than MAX_HEADERS headers."""


class TargetTooLong(Malformed):
    """Path and query are longer than MAX_TARGET."""


class UvicornProtocol(SequentialHttp):
    """Closes connections on a read timeout (idle, head or body). Unknown upgrades are ignored.

    What is still to come of a body whose request was answered is not read if it is much.
    """

    _unread = 0  # bytes received of an incomplete head
    _reading = 0  # bytes that are being parsed
    _entry: TableEntry | None = None
    _upgrades: bool | None = None  # to a websocket, once that is known
    _closes = False  # the response announced the end of the connection
    _body: BodyWatch | None = None  # most bodies arrive together with their heads

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        if are_scarce(transport):
            out_of_files()
            self.table.refusals(RefusalKind.OPEN_FILES, self._address)
            self.transport.abort()
            return
        counted = self.addresses.counted(self._address)
        self._entry = self.table.admit(counted, self.transport.abort)
        self._expect(limits.FIRST_BYTE_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        self._take_held()
        self._leave()
        super().connection_lost(exc)

    # Receiving

    def _receive(self, data: bytes) -> None:
        self._reading = len(data)
        self._feed(data)
        if self._in_body:
            self._watch_body(len(data))
        elif self._in_head and not self._refused:
            if not self._unread:  # most heads arrive whole, and need no timeout
                self._expect(limits.HEAD_SECONDS)
            self._unread += len(data)
            if self._unread > limits.HEAD_BYTES:
                self._refuse(HeadTooLarge())

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            elif any(name == b"upgrade" for name, _ in self.headers):
                self._ignore_upgrade(data[upgrade.args[0] :])
            else:
                self._refuse(Malformed("CONNECT asks for a tunnel"))
        except httptools.HttpParserError as error:
            self._refuse(error.__context__ or error)

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Read the request once more without the header that makes the parser skip its body.

        `curl --http2` and Java's client offer h2c with every request; a server that does not want it goes on.
        """
        head = [
            self.parser.get_method() + b" " + self.url + b" HTTP/" + self.parser.get_http_version().encode(),
            *(name + b": " + value for name, value in self.headers if name != b"upgrade"),
        ]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._feed(b"\r\n".join([*head, b"", rest]))

    def _should_upgrade(self) -> bool:
        """Called five times for a handshake, once its headers are complete."""
        if self._upgrades is None:
            self._upgrades = super()._should_upgrade()
        return self._upgrades

    def _ignores_upgrade(self) -> bool:
        return self.parser.should_upgrade() and not self._should_upgrade()

    # Callbacks of the parser

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._upgrades = True, None

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > limits.MAX_TARGET:
            raise TargetTooLong

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_body:  # else it is a trailer
            if len(self.headers) >= limits.MAX_HEADERS:
                raise HeadTooLarge
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._ignores_upgrade():
            return
        if self._unread + self._reading > limits.HEAD_BYTES and _size(self.headers) > limits.HEAD_BYTES:
            raise HeadTooLarge
        self._stop()
        names = [name for name, _ in self.headers]
        if self.parser.get_http_version() == "1.1" and names.count(b"host") != 1:
            raise Malformed("it needs one Host header")
        self._in_head, self._in_body, self._content = False, True, 0
        if self._entry is not None:
            self._entry.standing = Standing.REQUEST
        self._declared = None if b"transfer-encoding" in names else _declared(self.headers)
        super().on_headers_complete()
        if self.cycle is not None and self._is_long():
            self._announce_close(self.cycle)

    def on_body(self, body: bytes) -> None:
        self._content += len(body)
        self._chunks += 1
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._ignores_upgrade():
            return
        self._stop()
        self._in_body = False
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        self._stop()
        self._in_body = False
        self._refused = True  # nothing more is parsed here
        self._leave()  # the engine takes it in again
        self.scope["headers"] = list(of_handshake(self.headers))
        super().handle_websocket_upgrade()
        # The parser refers to this protocol: let go of it, or each arrival makes a cycle of some thirty
        # objects to the garbage collector.
        del self.parser

    # Bodies

    def _is_long(self) -> bool:
        """Whether more of the body is still to come than is worth reading only to keep the connection."""
        return self._in_body and (
            self._declared is None or self._declared - self._content > limits.MAX_UNWANTED
        )

    def _announce_close(self, cycle: Any) -> None:
        """A response that does not wait for the rest of the body says that the connection ends with it."""
        send = cycle.send

        async def send_and_close(message: Message) -> None:
            if message["type"] != "http.response.start" or cycle is not self.cycle or not self._is_long():
                await send(message)
                return
            others = [pair for pair in message.get("headers", ()) if pair[0] not in CONNECTION_HEADERS]
            await send({**message, "headers": [*others, (b"connection", b"close")]})
            self._closes = cycle.keep_alive = True  # it is closed here, when the response has been read

        cycle.send = send_and_close

    def _watch_body(self, wire: int) -> None:
        now = self.loop.time()
        if self._body is None:
            self._body = BodyWatch(now, self._content)
            self._deadline = self.loop.call_later(limits.BODY_SECONDS / 4, self._check_body)
        elif not self._body.arrived(now, wire, self._content):
            self.table.refusals(RefusalKind.CHUNKS, self._address)
            self._refuse(Malformed("too little of a chunked body is content"))

    def _check_body(self) -> None:
        assert self._body is not None
        now = self.loop.time()
        if self.flow.read_paused:  # the handler is not reading: backpressure, not a slow client
            self._body.was_not_read(now, limits.BODY_SECONDS / 4)
        elif self._body.is_too_slow(now):
            self._give_up()
            return
        self._deadline = self.loop.call_later(limits.BODY_SECONDS / 4, self._check_body)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self._entry is not None:
            self._entry.standing, self._entry.since = Standing.IDLE, time.monotonic()
        if self._closes or (self.cycle.response_complete and self._is_long()):
            self.table.refusals(RefusalKind.UNREAD_BODIES, self._address)
            self._discard()
        else:
            self._release_soon()

    def _leave(self) -> None:
        if self._entry is not None:
            self._entry.remove()
            self._entry = None

    # Timeouts and refusals

    def _expect(self, seconds: float) -> None:
        self._stop()
        self._deadline = self.loop.call_later(seconds, self._give_up)

    def _stop(self) -> None:
        self._unread = 0
        self._body = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if self._in_head or self._in_body:
            self.table.refusals(RefusalKind.SLOW_REQUESTS, self._address)
        self._stop()
        self.transport.abort()

    def _refuse(self, error: BaseException) -> None:
        """Respond with an error and discard further input. The log never quotes what was sent."""
        if isinstance(error, HeadTooLarge):
            status = b"431 Request Header Fields Too Large"
            too_large()
        elif isinstance(error, TargetTooLong):
            status = b"414 URI Too Long"
            malformed("its path and query are too long")
        else:
            status = b"400 Bad Request"
            malformed(str(error) if isinstance(error, Malformed) else type(error).__name__)
        reason = status.partition(b" ")[2]
        head = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(b"HTTP/1.1 " + status + b"\r\n" + head % len(reason) + reason)
        self.pipeline.clear()
        if (
            self.cycle is not None and not self.cycle.response_complete
        ):  # its request will not be complete, or its response not be read
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._discard()

    def _discard(self) -> None:
        """Close, but not at once: a peer that is still sending would be reset, and not read the response."""
        self._stop()
        self._unset_keepalive_if_required()
        self._refused = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._deadline = self.loop.call_later(limits.DISCARD_SECONDS, self.transport.abort)


def _size(headers: Iterable[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) for name, value in headers)


def _declared(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """The length of the body; the parser has checked it."""
    return next((int(value) for name, value in headers if name == b"content-length"), 0)
