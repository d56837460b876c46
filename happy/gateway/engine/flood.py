"""Bounds what a peer may send that is no message, and how long it may not take what it is sent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from happy.limits import limit

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_CONTROL = limit(
    256,
    "websocket control frames, and frames behind a close, within 10 s; as many packets without a message",
    "connection",
    "closed",
)
"""Clients send one every 15 s, proxies as many; only a flood is stopped."""

CONTROL_SECONDS = 10.0
"""Time in which MAX_CONTROL may be sent, in s."""

MAX_CONNECTS = limit(32, "CONNECT packets", per="connection", then="the transport is closed: `parse error`")
"""Clients send one, and another one after it was refused; each costs a check of a token."""

MAX_TINY_FRAGMENTS = limit(
    1_024, "fragments of a websocket message, and one more for each 256 bytes", "message", "closed: 1009"
)
"""Of whatever size, even empty: each costs time. Others may be as many as fit into a packet."""

FRAGMENT_BYTES = 256
"""Bytes of a fragment that are worth its cost; nobody sends smaller ones in numbers."""


KEPT_HEADERS = frozenset({b"host", b"origin", b"user-agent", b"x-happy-client"})
"""Headers of the handshake request that are kept as long as the connection, and given to the application."""

MAX_HEADER = limit(256, "bytes of a handshake header that are kept", per="header", then="the rest is cut off")

MAX_PONG_SECONDS = limit(
    1800.0,
    "s without a pong of a client that sends something",
    per="connection",
    then="closed: `ping timeout`",
)
"""The largest packet takes that long at 10 KB/s, and the pong waits behind it."""

STUCK_PINGS = 4
"""A client that was pinged so often without taking any of the packets that wait for it is closed."""


def kept_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Those of a handshake that are kept."""
    return [(name, value[:MAX_HEADER]) for name, value in headers if name.lower() in KEPT_HEADERS]


class ControlBudget:
    """Counts; reads the clock only when a budget is used up."""

    __slots__ = ("_count", "_since")

    def __init__(self) -> None:
        self._count = 0
        self._since = time.monotonic()

    def is_exceeded(self) -> bool:
        """To be called for each control frame or packet: true if it is one too many."""
        self._count += 1
        if self._count <= MAX_CONTROL:
            return False
        now = time.monotonic()
        if now - self._since < CONTROL_SECONDS:
            return True
        self._count, self._since = 1, now
        return False
