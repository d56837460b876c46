"""A Socket.IO client in its namespace, as the application sees it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from happy.gateway.engine import reasons
from happy.gateway.engine.packets import ROOT, encode_ack, encode_connect, encode_event, in_namespace

if TYPE_CHECKING:
    from collections.abc import Callable

    import msgspec

    from happy.domain.client_address import ClientAddress
    from happy.gateway.engine.settings import EngineSettings


class SocketClosed(Exception):
    """The socket closed before the client responded to a request."""


if TYPE_CHECKING:
    OnResponse = Callable[[msgspec.Raw | SocketClosed | None], None]


class SocketConnection(Protocol):
    """What a socket needs of its connection."""

    last_acknowledged: float  # when the last ping that was answered was sent, by `time.monotonic`

    @property
    def settings(self) -> EngineSettings: ...

    @property
    def client_address(self) -> ClientAddress: ...

    def send(self, packet: bytes, *, soon: bool = False) -> None:
        """Send an Engine.IO packet now or queue it; never blocks or raises, does nothing once closed."""

    def close(self, reason: str, *, abort: bool = False) -> None:
        """Close the transport; does nothing once closed."""


class Ack(Struct, eq=False):
    """Acknowledges one event, once. Further calls, and calls after the socket closed, do nothing."""

    socket: Socket | None
    number: int

    def __call__(self, args: bytes) -> None:
        """`args` is the JSON of the arguments, with commas between: usually a single object."""
        socket, self.socket = self.socket, None
        if socket is not None:
            socket.send(encode_ack(self.number, args))


class Socket:
    """One client. Sending never waits and never raises; an overfull queue closes the connection."""

    namespace = ROOT
    __slots__ = (
        "_held",
        "_last_request",
        "_pending",
        "closed",
        "connection",
        "data",
        "id",
        "joined",
        "recovery_token",
    )

    def __init__(self, socket_id: str, connection: SocketConnection) -> None:
        self.id = socket_id  # the application may change it, and the next one, while the socket connects
        self.recovery_token = ""  # sent to the client as `pid`
        self.connection = connection
        self.data: Any = None  # belongs to the application
        self.closed = False
        self.joined = False
        self._held: list[bytes] | None = []  # packets sent before the response to CONNECT
        self._pending: dict[int, OnResponse] | None = None
        self._last_request = 0

    @property
    def client_address(self) -> ClientAddress:
        """Where the client connects from, also behind trusted proxies."""
        return self.connection.client_address

    def send(self, packet: bytes, *, soon: bool = False) -> None:
        """Send an encoded packet, such as `42["update",{}]`.

        With `soon`, at the end of this event loop iteration, in one write with other packets.
        """
        if self.closed:
            return
        if self._held is None:
            self.connection.send(packet, soon=soon)
        elif len(self._held) < self.connection.settings.queue_packets:
            self._held.append(packet)
        else:
            self.connection.close(reasons.OVERFLOW)

    def emit(self, name: str, payload: bytes) -> None:
        """Send an event with one argument, given as JSON."""
        if not self.closed:
            self.send(encode_event(name, payload))

    def request(self, name: str, payload: bytes, on_response: OnResponse) -> int:
        """Send an event that is to be acknowledged; `on_response` is called once, later, and must not raise.

        It gets the JSON of the response's first argument, None if that has none, or `SocketClosed` as soon as
        the socket closes. Returns a number for `cancel_request`.
        """
        if self._pending is None:
            self._pending = {}
        self._last_request = number = self._last_request + 1
        self._pending[number] = on_response
        if self.closed:
            self._fail_soon(number)
        else:
            self.send(encode_event(name, payload, number))
        return number

    def cancel_request(self, number: int) -> None:
        """The response is not needed any more: `on_response` is not called."""
        if self._pending is not None:
            self._pending.pop(number, None)

    @property
    def last_acknowledged(self) -> float:
        """Packets sent before this time (`time.monotonic`) have arrived: a later ping was answered."""
        return self.connection.last_acknowledged

    def close(self) -> None:
        """Close the transport, without a DISCONNECT packet: the client reconnects."""
        self.connection.close(reasons.SERVER_CLOSE)

    def join(self) -> None:
        """Answer the client's CONNECT; called by the engine when the application has accepted."""
        self.joined = True
        held, self._held = self._held, None
        self.send(encode_connect(self.id, self.recovery_token))
        for packet in held or ():
            self.send(packet)

    def respond(self, number: int, response: msgspec.Raw | SocketClosed | None) -> None:
        """Pass a response on; one without a pending request, such as a late one, is ignored."""
        on_response = self._pending.pop(number, None) if self._pending else None
        if on_response is not None:
            on_response(response)

    def gone(self) -> None:
        """The connection closed, or the client left the namespace: fail pending requests."""
        self.closed = True
        self._held = None
        for number in self._pending or ():
            self._fail_soon(number)

    def _fail_soon(self, number: int) -> None:
        """Not inline: `on_response` may call anything, and this connection is only half closed."""
        asyncio.get_running_loop().call_soon(self.respond, number, SocketClosed())


class NamespacedSocket(Socket):
    """A client whose server address has a path: that is its namespace, and each packet names it."""

    __slots__ = ("namespace",)

    def __init__(self, socket_id: str, connection: SocketConnection, namespace: str) -> None:
        super().__init__(socket_id, connection)
        self.namespace = namespace

    def send(self, packet: bytes, *, soon: bool = False) -> None:
        """Send an encoded packet of the namespace `/` in this one; held packets pass here again."""
        named = packet if self._held is not None else in_namespace(packet, self.namespace)
        super().send(named, soon=soon)
