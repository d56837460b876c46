"""When a websocket's open packet leaves: with the answer to its handshake, unless a proxy loses it.

Both orders fail somewhere. The official client waits for its connect time-out of 20 s when its link breaks
between the answer and the open packet, so they leave in one write. Some proxies drop what comes in the same
read as the answer; their clients wait for a packet that never comes. A client that got it answers at once, so
one that stays silent is sent it once more, and later handshakes from that address are answered in two steps.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING

from happy.gateway.engine.context import logger

if TYPE_CHECKING:
    from happy.gateway.engine.connection import Connection

RESEND_SECONDS = 2.0
"""A client that says nothing for so long has not got the packet."""

DELAY_SECONDS = 0.05
"""Between the answer and the packet, where the two must not arrive together."""

REMEMBER_SECONDS = 3600.0
MAX_ADDRESSES = 1000


class OpenPackets:
    """Sends each connection's open packet and remembers the addresses that lose it."""

    def __init__(self) -> None:
        self._dropping: OrderedDict[str, float] = OrderedDict()  # until when, the oldest first

    def send(self, connection: Connection, address: str) -> None:
        """Called in the turn of the event loop in which the handshake is answered."""
        loop = asyncio.get_running_loop()
        if self._dropping.get(address, 0.0) > loop.time():
            loop.call_later(DELAY_SECONDS, connection.send, connection.open_packet())
        else:
            connection.send(connection.open_packet())
            loop.call_later(RESEND_SECONDS, self._repeat, connection, address)

    def _repeat(self, connection: Connection, address: str) -> None:
        if connection.closed or connection.received_since_ping:
            return
        if address not in self._dropping:
            logger.warning("%s loses what comes with the answer to a websocket handshake", address)
        self._remember(address)
        connection.send(connection.open_packet())

    def _remember(self, address: str) -> None:
        self._dropping.pop(address, None)
        self._dropping[address] = asyncio.get_running_loop().time() + REMEMBER_SECONDS
        if len(self._dropping) > MAX_ADDRESSES:
            self._dropping.popitem(last=False)
