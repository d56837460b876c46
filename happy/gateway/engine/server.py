"""The engine: handshakes over HTTP and websocket, upgrades, shutdown."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from happy.domain.errors import TooMany
from happy.gateway.engine import asgi
from happy.gateway.engine.asgi import Request
from happy.gateway.engine.connection import Connection
from happy.gateway.engine.context import EngineContext
from happy.gateway.engine.open_packet import OpenPackets
from happy.gateway.engine.polling import PollingTransport
from happy.gateway.engine.reasons import SHUTDOWN
from happy.gateway.engine.settings import EngineSettings
from happy.gateway.engine.transport import HandshakeRefusal
from happy.gateway.engine.upgrade import Probe
from happy.gateway.engine.websocket import WebSocketTransport
from happy.services.client_addresses import ClientAddresses
from happy.services.connection_table import ConnectionTable
from happy.services.refusals import RefusalKind

if TYPE_CHECKING:
    from collections import Counter

    from uvicorn.server import ServerState

    from happy.gateway.engine.application import Application
    from happy.gateway.engine.asgi import Receive, Scope, Send, Target
    from happy.gateway.engine.transport import LinkedTransport

TRANSPORTS = frozenset({"polling", "websocket"})
VERSION = "4"


class Server:
    """An ASGI application for the HTTP requests of its path, and a protocol class for websockets."""

    def __init__(
        self,
        application: Application,
        settings: EngineSettings | None = None,
        addresses: ClientAddresses | None = None,
        table: ConnectionTable | None = None,
    ) -> None:
        self._context = EngineContext(
            application,
            settings or EngineSettings(),
            addresses or ClientAddresses(),
            ConnectionTable() if table is None else table,
        )
        self._open_packets = OpenPackets()
        self._closing = False

    @property
    def table(self) -> ConnectionTable:
        """All connections of this replica."""
        return self._context.table

    @property
    def addresses(self) -> ClientAddresses:
        """Knows which peers are proxies."""
        return self._context.addresses

    @property
    def connection_count(self) -> int:
        return len(self._context.connections)

    @property
    def opened(self) -> Counter[str]:
        """Connections opened so far by first transport, and upgrades of them."""
        return self._context.opened

    @property
    def closed(self) -> Counter[str]:
        """Connections closed so far, by reason."""
        return self._context.closed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        if request.method == "OPTIONS":
            await request.preflight()
        elif self._closing:
            await request.respond(503, b"shutting down")
        elif (error := self._error(request)) is not None:
            await request.refuse(error)
        elif (refusal := self._too_often(request)) is not None:
            await request.respond(429, str(refusal).encode(), retry_after=refusal.retry_after)
        else:
            await self._polling(request)

    def _error(self, target: Target) -> tuple[int, str] | None:
        """The Engine.IO error of an invalid request, by the checks of the official server in their order."""
        transport, sid = target.query("transport"), target.query("sid")
        if sid and transport in TRANSPORTS:
            return self._session_error(target, sid, transport)
        error = _handshake_error(target, transport)
        if error is not None:
            client = self._context.addresses.of(target.peer, target.headers)
            self._context.refusals(RefusalKind.HANDSHAKES, client.text)
        return error

    def _session_error(self, target: Target, sid: str, transport: str) -> tuple[int, str] | None:
        connection = self._context.connections.get(sid)
        if connection is None:
            return asgi.UNKNOWN_SID
        if target.query("EIO") != VERSION:
            return asgi.BAD_REQUEST
        is_polling = isinstance(connection.transport, PollingTransport)
        if target.is_websocket:
            fits = transport == "websocket" and is_polling and connection.probe is None
        else:
            fits = transport == "polling" and is_polling
        return None if fits else asgi.BAD_REQUEST

    # Polling

    async def _polling(self, request: Request) -> None:
        connection = self._context.connections.get(request.query("sid"))
        if connection is None:
            transport = PollingTransport(self._context)
            connection = self._open(request, transport, request.peer)
            await request.respond(200, connection.open_packet())
        elif isinstance(connection.transport, PollingTransport):
            await connection.transport.handle(connection, request)

    def _open(self, target: Target, transport: PollingTransport | LinkedTransport, peer: str) -> Connection:
        sid = secrets.token_urlsafe(15)
        connection = Connection(self._context, sid, target.headers, transport, peer)
        transport.attach(connection)
        return connection

    # Websocket

    def websocket_protocol(self) -> type[asyncio.Protocol]:
        """The protocol class for uvicorn's `ws` setting: websockets bypass ASGI."""
        acceptor, context = self, self._context

        class Link(WebSocketTransport):
            __slots__ = ()

            def __init__(self, server_state: ServerState, **_: object) -> None:
                super().__init__(acceptor, context, server_state.connections)

        return Link

    def refuse(self, target: Target) -> HandshakeRefusal | None:
        settings = self._context.settings
        if settings.prefix.strip(target.path) != settings.path:
            return HandshakeRefusal(404, {"message": "Not found"})
        if self._closing:
            return HandshakeRefusal(503, {"message": "Shutting down"})
        error = self._error(target)
        if error is not None:
            return HandshakeRefusal(400, {"code": error[0], "message": error[1]})
        if (refusal := self._too_often(target)) is not None:
            return HandshakeRefusal(429, {"message": str(refusal)}, refusal.retry_after)
        return None

    def _too_often(self, target: Target) -> TooMany | None:
        """Why a new connection is refused, if its address has opened too many."""
        connects = self._context.settings.connects
        if connects is None or target.query("sid"):
            return None
        try:
            connects.take_now(self._context.addresses.of(target.peer, target.headers))
        except TooMany as refusal:
            return refusal
        return None

    def open_websocket(self, target: Target, link: LinkedTransport) -> None:
        sid = target.query("sid")
        polled = self._context.connections.get(sid)
        if not sid:
            connection = self._open(target, link, link.address)
            self._open_packets.send(connection, link.address)
        elif polled is not None and isinstance(polled.transport, PollingTransport):
            polled.probe = link
            link.receiver = Probe(polled, polled.transport, link, self._context.settings.upgrade_timeout)
        else:  # it closed during the handshake
            link.close()

    # Shutdown

    async def shutdown(self, *, within: float = 5.0, spread: float = 0.0) -> bool:
        """Close all transports, evenly over `spread` seconds. Without DISCONNECT packets: clients reconnect.

        New handshakes are refused from the start. True if `disconnected` was called for all sockets `within`
        so many seconds after the last was closed.
        """
        self._closing = True
        connections = list(self._context.connections.values())
        for connection in connections:
            connection.close(SHUTDOWN)
            if spread:
                await asyncio.sleep(spread / len(connections))
        return await self._context.wait_idle(within)


def _handshake_error(target: Target, transport: str) -> tuple[int, str] | None:
    if transport not in TRANSPORTS:
        return asgi.UNKNOWN_TRANSPORT
    if target.method != "GET":
        return asgi.BAD_HANDSHAKE_METHOD
    is_jsonp = bool(target.query("j"))  # needs a script as the response
    if is_jsonp or target.is_websocket != (transport == "websocket"):
        return asgi.BAD_REQUEST
    return None if target.query("EIO") == VERSION else asgi.UNSUPPORTED_PROTOCOL
