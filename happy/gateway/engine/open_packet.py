"""Sends a websocket's open packet in one write with the handshake response, unless a proxy drops it there.

Both orders fail somewhere. The official client waits for its connect timeout of 20 s if its connection breaks
between the response and the open packet, so both are sent in one write. Some proxies drop what they read
together with the response, and their clients wait for the open packet forever. A client that has the packet
answers at once; so a silent one is sent it again, and its address gets it separately from then on.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING

from happy.gateway.engine.context import logger
from happy.limits import limit

if TYPE_CHECKING:
    from happy.gateway.engine.connection import Connection

RESEND_SECONDS = 2.0
"""A client that sends nothing for so long is sent the packet again."""

DELAY_SECONDS = 0.05
"""Between response and packet, for addresses where the two must not arrive together."""

REMEMBER_SECONDS = 3600.0
MAX_ADDRESSES = limit(
    1000,
    "addresses remembered that get the open packet by itself",
    per="replica",
    then="the address that was first is forgotten",
)


class OpenPackets:
    """Sends open packets, and remembers addresses whose proxy drops them."""

    def __init__(self) -> None:
        self._dropping: OrderedDict[str, float] = OrderedDict()  # until when, the oldest first

    def send(self, connection: Connection, address: str) -> None:
        """To be called in the event loop iteration that writes the handshake response."""
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
            logger.warning(
                "%s drops what is sent with a websocket handshake response",
                address,
            )
        self._remember(address)
        connection.send(connection.open_packet())

    def _remember(self, address: str) -> None:
        self._dropping.pop(address, None)
        self._dropping[address] = asyncio.get_running_loop().time() + REMEMBER_SECONDS
        if len(self._dropping) > MAX_ADDRESSES:
            self._dropping.popitem(last=False)
