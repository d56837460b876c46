"""Limits that uvicorn lacks: read timeouts of head and body, the size of the head, one Host header."""

import asyncio
import logging
from collections.abc import Iterable

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from happy.domain.client_address import FORWARDED_BYTES, FORWARDING_HEADERS
from happy.http.framework.open_files import are_scarce, out_of_files
from happy.telemetry import LimitedLog

HEAD_SECONDS = 20.0
"""Read timeout of a request head, from its first byte to its last."""

HEAD_BYTES = 65_536
"""Maximum size of a request head, with what of the body arrived in the same packets."""

BODY_SECONDS = 60.0
"""Read timeout of a body, since its last byte. A phone may lose its network that long."""

DISCARD_SECONDS = 2.0
"""How long input is discarded after a refusal, so that the peer can read the response."""

HANDSHAKE_HEADERS = frozenset(
    {b"host", b"upgrade", b"connection", b"origin", b"user-agent", b"x-happy-client"}
    | {b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-extensions", b"sec-websocket-protocol"}
    | FORWARDING_HEADERS
)
"""The headers of a websocket handshake that are used and kept; cookies, for example, are not."""

HANDSHAKE_HEADER_BYTES = 4096

log = logging.getLogger(__name__)
malformed = LimitedLog(log, "malformed HTTP request")
too_large = LimitedLog(log, f"refused a request whose head is larger than {HEAD_BYTES} bytes")


class Malformed(Exception):
    """Not a request of HTTP/1.1; the parser passes it on as an error of its own."""


class HeadTooLarge(Malformed):
    """The request head is larger than HEAD_BYTES."""


class UvicornProtocol(HttpToolsProtocol):
    """Closes connections on a read timeout (idle, head or body). Unknown upgrades are ignored."""

    _deadline: asyncio.TimerHandle | None = None
    _unread = 0  # bytes received of an incomplete head
    _reading = 0  # bytes that are being parsed
    _refused = False  # further input is discarded
    _in_body = False  # the head was complete, the request is not

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        if are_scarce(transport):
            out_of_files()
            self.transport.abort()
            return
        self._expect(self.timeout_keep_alive)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._unset_keepalive_if_required()
        self._reading = len(data)
        self._feed(data)
        if self._in_body:
            self._expect(BODY_SECONDS)
        elif self._deadline is not None:
            self._unread += len(data)
            if self._unread > HEAD_BYTES:
                self._refuse(HeadTooLarge())

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            else:
                self._ignore_upgrade(data[upgrade.args[0] :])
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

    def _ignores_upgrade(self) -> bool:
        return self.parser.should_upgrade() and not self._should_upgrade()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect(HEAD_SECONDS)

    def on_headers_complete(self) -> None:
        if self._ignores_upgrade():
            return
        if self._unread + self._reading > HEAD_BYTES and _size(self.headers) > HEAD_BYTES:
            raise HeadTooLarge
        self._stop()
        if self.parser.get_http_version() == "1.1" and [name for name, _ in self.headers].count(b"host") != 1:
            raise Malformed("it needs one Host header")
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        if self._ignores_upgrade():
            return
        self._stop()
        self._in_body = False
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        self._stop()
        self._in_body = False
        self.scope["headers"] = list(_of_handshake(self.headers))
        super().handle_websocket_upgrade()
        # Nothing more is parsed here. The parser refers to this protocol: let go of it, or each arrival
        # leaves a cycle of some thirty objects to the garbage collector.
        del self.parser

    def _expect(self, seconds: float) -> None:
        self._stop()
        self._deadline = self.loop.call_later(seconds, self._give_up)

    def _stop(self) -> None:
        self._unread = 0
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if (
            self._in_body and self.flow.read_paused
        ):  # the handler is not reading: backpressure, not a slow client
            self._expect(BODY_SECONDS)
            return
        self._stop()
        self.transport.abort()

    def _refuse(self, error: BaseException) -> None:
        """Respond with an error and discard further input. The log never quotes what was sent."""
        self._stop()
        if isinstance(error, HeadTooLarge):
            status = b"431 Request Header Fields Too Large"
            too_large()
        else:
            status = b"400 Bad Request"
            malformed(str(error) if isinstance(error, Malformed) else type(error).__name__)
        reason = status.partition(b" ")[2]
        head = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(b"HTTP/1.1 " + status + b"\r\n" + head % len(reason) + reason)
        self._refused = True
        if self.transport.can_write_eof():  # closing now would reset a peer that is still sending
            self.transport.write_eof()
        self._deadline = self.loop.call_later(DISCARD_SECONDS, self.transport.abort)


def _size(headers: Iterable[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) for name, value in headers)


def _of_handshake(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
    """The end of a list of forwarded addresses counts: a client cannot make it too long to be kept."""
    for name, value in headers:
        if name in FORWARDING_HEADERS:
            yield name, value[-FORWARDED_BYTES:]
        elif name in HANDSHAKE_HEADERS and len(value) <= HANDSHAKE_HEADER_BYTES:
            yield name, value
