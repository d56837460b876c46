"""What the engine expects of the application above it, and what it tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    import msgspec

    from happy.gateway.engine.socket import Ack, Socket


class Refused(Exception):
    """Raised by `Application.connect`: the client gets a connect error with this text, and gives up."""


class Application(Protocol):
    """The server's side of all sockets. A connection's calls come one by one, in the order of its packets."""

    async def connect(self, socket: Socket, auth: msgspec.Raw | None, headers: Mapping[str, str]) -> None:
        """Called before the client's CONNECT is answered; what is sent meanwhile follows the answer.

        `Refused` answers a connect error and leaves the transport open. Any other exception is logged and
        closes the transport only, so that the client comes back: a connect error would stop its reconnection.
        `headers` are those of the handshake request, names in lower case.
        """

    def event(
        self, socket: Socket, name: str, args: list[msgspec.Raw], ack: Ack | None
    ) -> Awaitable[None] | None:
        """An event arrived. An awaitable is awaited before the next packet; slow work needs a task.

        Also called for packets that arrived before their connection closed; `socket.closed` is true then.
        Exceptions are logged and change nothing else.
        """

    def disconnected(self, socket: Socket, reason: str) -> Awaitable[None] | None:
        """Called once, after its last event, for every socket whose `connect` returned."""
