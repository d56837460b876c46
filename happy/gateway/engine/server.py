"""The engine as an ASGI application: handshakes, the connection table, upgrades and shutdown."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from happy.gateway.engine import asgi, packets
from happy.gateway.engine.asgi import Request
from happy.gateway.engine.connection import Connection
from happy.gateway.engine.polling import PollingTransport
from happy.gateway.engine.runtime import Runtime
from happy.gateway.engine.settings import EngineSettings
from happy.gateway.engine.websocket import WebSocketTransport

if TYPE_CHECKING:
    from collections import Counter

    from happy.gateway.engine.application import Application
    from happy.gateway.engine.asgi import Receive, Scope, Send

VERSION = "4"
SERVER_CLOSE = "server shutting down"


class Server:
    """Takes every `http` and `websocket` scope of its one path."""

    def __init__(self, application: Application, settings: EngineSettings | None = None) -> None:
        self._runtime = Runtime(application, settings or EngineSettings())
        self._closing = False

    @property
    def connection_count(self) -> int:
        return len(self._runtime.connections)

    @property
    def opened(self) -> Counter[str]:
        """Connections opened so far by first transport, and upgrades of them."""
        return self._runtime.opened

    @property
    def closed(self) -> Counter[str]:
        """Connections closed so far, by reason."""
        return self._runtime.closed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        if request.method == "OPTIONS" and not request.is_websocket:
            await request.preflight()
        elif self._closing:
            await request.answer(503, b"shutting down")
        elif (error := self._error(request)) is not None:
            await request.refuse(error)
        elif request.is_websocket:
            await self._websocket(request)
        else:
            await self._polling(request)

    def _error(self, request: Request) -> tuple[int, str] | None:
        """What is wrong with a request, checked in the order of the official server."""
        transport, sid = request.query("transport"), request.query("sid")
        if transport not in {"polling", "websocket"}:
            return asgi.UNKNOWN_TRANSPORT
        if sid:
            return self._session_error(request, sid, transport)
        if request.method != "GET":
            return asgi.BAD_HANDSHAKE_METHOD
        if request.is_websocket != (transport == "websocket"):
            return asgi.BAD_REQUEST
        return None if request.query("EIO") == VERSION else asgi.UNSUPPORTED_PROTOCOL

    def _session_error(self, request: Request, sid: str, transport: str) -> tuple[int, str] | None:
        connection = self._runtime.connections.get(sid)
        if connection is None:
            return asgi.UNKNOWN_SID
        if request.query("EIO") != VERSION:
            return asgi.BAD_REQUEST
        is_polling = isinstance(connection.transport, PollingTransport)
        if request.is_websocket:
            fits = transport == "websocket" and is_polling and connection.probe is None
        else:
            fits = transport == "polling" and is_polling
        return None if fits else asgi.BAD_REQUEST

    # Polling

    async def _polling(self, request: Request) -> None:
        connection = self._runtime.connections.get(request.query("sid"))
        if connection is None:
            transport = PollingTransport(self._runtime)
            connection = self._open(request, transport)
            await request.answer(200, connection.open_packet().encode())
        elif isinstance(connection.transport, PollingTransport):
            await connection.transport.handle(connection, request)

    def _open(self, request: Request, transport: PollingTransport | WebSocketTransport) -> Connection:
        connection = Connection(self._runtime, secrets.token_urlsafe(15), request.headers, transport)
        transport.attach(connection)
        return connection

    # Websocket

    async def _websocket(self, request: Request) -> None:
        transport = WebSocketTransport(self._runtime, request.receive, request.send)
        previous = self._runtime.connections.get(request.query("sid"))
        if previous is not None:
            previous.probe = transport  # before the first wait, so that no second one gets in
        accepted = await transport.accept()
        if previous is not None and not accepted:
            previous.probe = None
        if not accepted or self._closing:
            transport.close()
        elif previous is None:
            connection = self._open(request, transport)
            connection.send(connection.open_packet())
            await transport.serve(connection)
        elif await self._upgrade(previous, transport):
            await transport.serve(previous)
        else:
            transport.close()

    async def _upgrade(self, connection: Connection, transport: WebSocketTransport) -> bool:
        """Let a polling client try the websocket; True once it has switched over to it."""
        polling = connection.transport
        assert isinstance(polling, PollingTransport)
        timer = asyncio.get_running_loop().call_later(self._runtime.settings.upgrade_timeout, transport.close)
        try:
            if connection.closed or await transport.read() != packets.PING + packets.PROBE:
                return False
            transport.write(packets.PONG + packets.PROBE)
            polling.probed(active=True)
            switched = await transport.read() == packets.UPGRADE
        finally:
            timer.cancel()
            connection.probe = None
            polling.probed(active=False)
        if not switched or connection.closed or polling.busy:
            return False
        transport.attach(connection)
        connection.upgrade(transport)
        return True

    # Shutdown

    async def shutdown(self, *, within: float = 5.0, spread: float = 0.0) -> bool:
        """Close all transports, evenly over `spread` seconds, without telling the clients to stay away.

        New handshakes are refused from the first moment. True when the application has seen all sockets leave
        `within` so many seconds after the last was closed.
        """
        self._closing = True
        connections = list(self._runtime.connections.values())
        for connection in connections:
            connection.close(SERVER_CLOSE)
            if spread:
                await asyncio.sleep(spread / len(connections))
        return await self._runtime.wait_idle(within)
