"""What a connection needs of its transport, and what a transport tells those who receive from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from happy.gateway.engine.asgi import Target
    from happy.gateway.engine.connection import Connection


class Transport(Protocol):
    """Carries Engine.IO packets to the client. No method waits or raises."""

    name: str
    ready: bool  # `write` may be called now; otherwise packets wait in the connection's queue

    def write(self, packet: bytes) -> None:
        """Send one packet at once; many in a row may be given the very same one."""

    def write_soon(self, packet: bytes) -> None:
        """Send one packet at the end of the event loop's turn, with all others of that turn."""

    def flush(self) -> None:
        """The queue is not empty: send from it as soon as possible."""

    def close(self, *, abort: bool = False) -> None:
        """Close the link; with `abort` without waiting for a peer that may not read any more."""


class LinkedTransport(Transport, Protocol):
    """A websocket: it can begin as a trial and become the transport of a connection."""

    receiver: Receiver | None

    @property
    def address(self) -> str:
        """Where it comes from: an IP address, of a proxy if there is one."""

    def on_received(self, call: Callable[[], None]) -> None:
        """Call this once when the peer has received everything that was written up to now."""

    def attach(self, connection: Connection) -> None:
        """Received packets go to this connection from now on, and its queue is sent here."""


class Receiver(Protocol):
    """Takes the packets that a websocket receives: a connection, or a probe before it."""

    broken: bool  # what else arrives is not worth reading

    def receive(self, packet: str | bytes) -> Awaitable[None] | None:
        """Process a packet. An awaitable has to be settled before the next one."""

    def lost(self) -> None:
        """The link is gone."""


class Acceptor(Protocol):
    """Where websockets come in."""

    def refuse(self, target: Target) -> tuple[int, object] | None:
        """Status and JSON body with which a websocket handshake is to be refused, None if it is welcome."""

    def open_websocket(self, target: Target, link: LinkedTransport) -> None:
        """The handshake is done: open a session, or try the websocket for the session it names."""
