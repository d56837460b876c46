"""The interface between the engine and the application: connect, event, disconnect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    import msgspec

    from happy.gateway.engine.socket import Ack, Socket


class Refused(Exception):
    """Raised by `Application.connect`: the client gets this text as a connect error, and gives up."""


class Application(Protocol):
    """Handles all sockets. Calls for one connection are sequential, in the order of its packets."""

    async def connect(self, socket: Socket, auth: msgspec.Raw | None, headers: Mapping[str, str]) -> None:
        """Called before the client's CONNECT is answered; packets sent meanwhile follow that answer.

        `Refused` sends a connect error and keeps the transport open. Any other exception is logged and
        only closes the transport, so that the client reconnects: after a connect error it would not.
        `headers` are those of the handshake request, names in lower case.
        """

    def event(
        self, socket: Socket, name: str, args: list[msgspec.Raw], ack: Ack | None
    ) -> Awaitable[None] | None:
        """An event arrived. An awaitable is awaited before the next packet; slow work needs a task.

        Also called for packets that arrived before their connection closed; `socket.closed` is true then.
        Exceptions are logged; the connection remains open.
        """

    def disconnected(self, socket: Socket, reason: str) -> Awaitable[None] | None:
        """Called once, after its last event, for every socket whose `connect` returned."""
