"""The Socket.IO side of a connection: joins one namespace and hands events to the application."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Protocol

from happy.gateway.engine import packets, reasons
from happy.gateway.engine.application import Refused
from happy.gateway.engine.context import logger
from happy.gateway.engine.flood import MAX_CONNECTS
from happy.gateway.engine.packets import ACK, CONNECT, DISCONNECT, EVENT, ROOT, Body, Packet, ProtocolError
from happy.gateway.engine.socket import Ack, NamespacedSocket, Socket, SocketConnection
from happy.services.refusals import RefusalKind

if TYPE_CHECKING:
    from collections.abc import Awaitable

    import msgspec

    from happy.gateway.engine.asgi import Headers
    from happy.gateway.engine.context import EngineContext


class SessionConnection(SocketConnection, Protocol):
    """What a session needs of its connection."""

    sid: str

    @property
    def headers(self) -> Headers:
        """Some of the handshake request."""

    closed: bool

    def authenticated(self) -> None:
        """The application has accepted the client."""


class SocketIoSession:
    """At most one socket at a time; without one for too long, the connection is closed."""

    __slots__ = ("_attachments", "_connection", "_connects", "_context", "_incomplete", "_timer", "socket")

    def __init__(self, connection: SessionConnection, context: EngineContext) -> None:
        self.socket: Socket | None = None
        self._connection = connection
        self._connects = 0
        self._context = context
        self._incomplete: Packet | None = None  # waits for its attachments
        self._attachments: list[bytes] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._expect_connect()

    def message(self, message: str) -> Awaitable[None] | None:
        """Process a text message of Engine.IO: a Socket.IO packet."""
        if self._incomplete is not None:
            raise ProtocolError("text instead of an attachment")
        common, socket = packets.decode_common(message), self.socket
        if common is None or socket is None:
            return self._dispatch(packets.decode(message[1:]))
        kind, number, body = common
        if kind == EVENT:
            return self._event(socket, number, body)
        self._answer(socket, number, body)
        return None

    def data(self, data: bytes | bytearray) -> Awaitable[None] | None:
        """Process a binary message, or a large text in a bytearray, which is not copied if it is common."""
        if isinstance(data, bytes):
            return self.binary(data)
        common, at = packets.decode_long(data)
        if common is None or self.socket is None or self._incomplete is not None:
            return self._rare(data.decode())
        kind, number, _ = common
        body = memoryview(data)[at:]
        if kind == EVENT:
            return self._event(self.socket, number, body)
        self._answer(self.socket, number, body)
        return None

    def _rare(self, packet: str) -> Awaitable[None] | None:
        if packet[:1] == packets.BINARY:
            return self.binary(packets.decode_binary(packet))
        if packet[:1] != packets.MESSAGE:
            raise ProtocolError("unexpected Engine.IO packet")
        return self.message(packet)

    def binary(self, data: bytes) -> Awaitable[None] | None:
        """Process a binary message: an attachment of the packet before it."""
        packet, attachments = self._incomplete, self._attachments
        if packet is None or attachments is None:
            raise ProtocolError("attachment without a packet")
        attachments.append(data)
        size = sum(map(len, attachments))
        if size > self._context.settings.max_payload:
            raise ProtocolError("attachments too large")
        if len(attachments) < packet.attachments:
            self._context.incomplete.hold_part(self, len(packet.body) + size)
            return None
        self._drop_incomplete()
        body = packets.fill_placeholders(packet.body, attachments)
        kind = EVENT if packet.kind == packets.BINARY_EVENT else ACK
        return self._dispatch(Packet(kind, body, packet.ack, packet.namespace))

    def _dispatch(self, packet: Packet) -> Awaitable[None] | None:
        kind, socket = packet.kind, self.socket
        if kind == CONNECT:
            return self._connect(packet)
        if socket is None or packet.namespace != socket.namespace:
            raise ProtocolError("packet for a namespace that was not joined")
        if kind == EVENT:
            return self._event(socket, packet.ack, packet.body)
        if kind == DISCONNECT:
            return self._disconnected(socket)
        if kind == ACK:
            self._answer(socket, packet.ack, packet.body)
        else:
            self._expect_attachments(packet)
        return None

    # Joining

    def _connect(self, packet: Packet) -> Awaitable[None] | None:
        self._connects += 1
        if self._connects > MAX_CONNECTS:
            self._context.refusals(RefusalKind.CONNECT_PACKETS, self._connection.client_address.text)
            raise ProtocolError("too many CONNECT packets")
        auth = packets.decode_auth(packet.body)
        namespace = packet.namespace
        if not self._context.settings.prefix.is_root(namespace):
            self._refuse(namespace, "Invalid namespace")
            return None
        if self.socket is not None:
            raise ProtocolError("already connected")
        socket_id = secrets.token_urlsafe(15)
        if namespace == ROOT:
            self.socket = Socket(socket_id, self._connection)
        else:
            self.socket = NamespacedSocket(socket_id, self._connection, namespace)
        return self._join(self.socket, auth)

    async def _join(self, socket: Socket, auth: msgspec.Raw | None) -> None:
        received = self._connection.headers
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in received}
        try:
            await self._context.application.connect(socket, auth, headers)
        except Refused as refusal:
            socket.gone()
            self.socket = None
            self._refuse(socket.namespace, str(refusal))
        except Exception:  # noqa: BLE001 - logged; a temporary error must not be sent as a connect error, which is final
            logger.exception("connection %s: connect handler failed", self._connection.sid)
            self._connection.close(reasons.SERVER_ERROR)
        else:
            self._stop_timer()
            self._connection.authenticated()
            socket.join()

    def _refuse(self, namespace: str, message: str) -> None:
        self._context.refusals(RefusalKind.HANDSHAKES, self._connection.client_address.text)
        self._connection.send(packets.encode_connect_error(namespace, message))

    def _expect_connect(self) -> None:
        loop, timeout = asyncio.get_running_loop(), self._context.settings.connect_timeout
        self._timer = loop.call_later(timeout, self._connection.close, reasons.CONNECT_TIMEOUT)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # Events and acks

    def _event(self, socket: Socket, number: int | None, body: Body) -> Awaitable[None] | None:
        name, args = packets.decode_event(body)
        if name is None:
            return None
        ack = None if number is None else Ack(socket, number)
        return self._context.application.event(socket, name, args, ack)

    def _answer(self, socket: Socket, number: int | None, body: Body) -> None:
        if number is None:
            raise ProtocolError("ack without number")
        socket.respond(number, packets.decode_ack(body))

    def _expect_attachments(self, packet: Packet) -> None:
        if not 0 < packet.attachments <= self._context.settings.max_attachments:
            raise ProtocolError("illegal packet type or number of attachments")
        packets.check_around_attachments(packet.body)
        self._incomplete = packet
        self._attachments = []

    def _drop_incomplete(self) -> None:
        """The packet is complete, or will never be."""
        self._incomplete = self._attachments = None
        self._context.incomplete.hold(self, 0)

    def give_up(self) -> None:
        """All incomplete messages together are too large, and this one began first."""
        self._drop_incomplete()
        self._connection.close(reasons.TRANSPORT_ERROR)

    # Disconnecting

    def _disconnected(self, socket: Socket) -> Awaitable[None] | None:
        socket.gone()
        self.socket = None
        if not self._connection.closed:
            self._expect_connect()
        return self._context.application.disconnected(socket, reasons.GOODBYE)

    def gone(self) -> None:
        """The connection closed: fail pending requests."""
        self._stop_timer()
        self._drop_incomplete()
        if self.socket is not None:
            self.socket.gone()

    async def finish(self, reason: str) -> None:
        """All packets have been processed: call `disconnected`."""
        socket, self.socket = self.socket, None
        if socket is None or not socket.joined:
            return
        work = self._context.application.disconnected(socket, reason)
        if work is not None:
            await work
