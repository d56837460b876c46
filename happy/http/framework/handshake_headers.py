"""The headers of a websocket handshake that are used and kept; cookies, for example, are not."""

from collections.abc import Iterable

from happy.domain.client_address import FORWARDED_BYTES, FORWARDING_HEADERS

HANDSHAKE_HEADERS = frozenset(
    {b"host", b"upgrade", b"connection", b"origin", b"user-agent", b"x-happy-client"}
    | {b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-extensions", b"sec-websocket-protocol"}
    | FORWARDING_HEADERS
)
HANDSHAKE_HEADER_BYTES = 4096


def of_handshake(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
    """The end of a list of forwarded addresses counts: a client cannot make it too long to be kept."""
    for name, value in headers:
        if name in FORWARDING_HEADERS:
            yield name, value[-FORWARDED_BYTES:]
        elif name in HANDSHAKE_HEADERS and len(value) <= HANDSHAKE_HEADER_BYTES:
            yield name, value
