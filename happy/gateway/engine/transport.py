"""Protocols between transports and connections, so that neither needs the other's module; states of links."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from happy.domain.client_address import ClientAddress
    from happy.gateway.engine.asgi import Target


CLOSE_SECONDS = 5.0
"""Timeout for the peer's response to a close frame."""

FAILED_SECONDS = 1.0
"""How long a peer that broke the protocol may take to read why."""

SHUTDOWN_SECONDS = 1.0
"""The same, when the server shuts down."""


class LinkState(Enum):
    """The life of a websocket, from its handshake on; it only moves forward.

    An open one is also `ready`, unless the peer reads slowly and packets wait in the connection's queue.
    """

    OPEN = auto()
    DRAINING = auto()  # the peer stopped sending, or the TCP connection is lost: what arrived is processed
    CLOSING = auto()  # a close frame was sent or received, or the link cut: what arrives is discarded
    FAILED = auto()  # the same, after the peer broke the protocol or a limit: nothing more is read


class Transport(Protocol):
    """Carries Engine.IO packets to the client. No method waits or raises."""

    name: str
    ready: bool  # `write` may be called now; otherwise packets wait in the connection's queue

    def write(self, packet: bytes) -> None:
        """Send one packet at once; many in a row may be given the very same one."""

    def write_soon(self, packet: bytes) -> None:
        """Send one packet at the end of the event loop iteration, together with others."""

    def flush(self) -> None:
        """The queue is not empty: send from it as soon as possible."""

    def close(self, *, abort: bool = False) -> None:
        """Close the link; with `abort` without waiting for a peer that may not read any more."""


class LinkedTransport(Transport, Protocol):
    """A websocket: it may begin as a probe and become the transport of a connection."""

    receiver: Receiver | None

    @property
    def address(self) -> str:
        """IP address of the peer, or of the last proxy."""

    def call_when_received(self, call: Callable[[], None]) -> None:
        """Call this once when the peer has received all that was written so far."""

    def attach(self, connection: TransportOwner) -> None:
        """From now on, received packets go to this connection, and its queue is sent here."""


class Receiver(Protocol):
    """Takes the packets that a websocket receives: a connection, or a probe before an upgrade."""

    broken: bool  # the peer broke the protocol: do not process further packets

    def receive(self, packet: str | bytes | bytearray) -> Awaitable[None] | None:
        """Process a packet; an awaitable must be awaited with `await_handler` before the next one.

        Text is a str, large text a bytearray of its UTF-8; bytes are a binary packet.
        """

    def lost(self) -> None:
        """The websocket is closed, or its peer is closing it."""


class TransportOwner(Receiver, Protocol):
    """What a transport and the connection table need of a connection."""

    sid: str
    client_address: ClientAddress
    transport: Transport
    probe: Transport | None  # a websocket that may replace the polling transport
    closed: bool
    reason: str  # why it is closed, one of `reasons`
    received_since_ping: bool  # to be set when anything arrives
    max_payload: int  # bytes that the peer may send at once

    @property
    def has_queue(self) -> bool:
        """Whether packets wait to be sent."""

    def pop(self) -> bytes | None:
        """Take the next packet from the queue."""

    def pop_all(self) -> list[bytes]:
        """Empty the queue."""

    async def await_handler(self, work: Awaitable[None]) -> None:
        """Await what `receive` returned; logs its exceptions."""

    def upgrade(self, transport: Transport) -> None:
        """Replace the transport; queued packets follow on the new one."""

    def close(self, reason: str, *, abort: bool = False) -> None:
        """Close the transport; does nothing once closed."""

    def reader_started(self) -> None:
        """A reader of the transport begins: the application learns of the end only after `reader_ended`."""

    async def reader_ended(self) -> None:
        """To be awaited by each reader at its end."""


class HandshakeRefusal(NamedTuple):
    """Status and JSON body with which a websocket handshake is refused, and in how many s to try again."""

    status: int
    body: object
    retry_after: int | None = None


class Acceptor(Protocol):
    """Accepts websocket handshakes."""

    def refuse(self, target: Target) -> HandshakeRefusal | None:
        """Why a websocket handshake is to be refused, None if it is accepted. It may count: once for each."""

    def open_websocket(self, target: Target, link: LinkedTransport) -> None:
        """The handshake is complete: open a connection, or begin the upgrade of the one it names."""
