"""A Socket.IO client in the namespace `/`, as the application sees it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from happy.gateway.engine.application import SocketClosed
from happy.gateway.engine.packets import encode_ack, encode_connect, encode_event

if TYPE_CHECKING:
    from happy.gateway.engine.connection import Connection


class Ack:
    """Answers one event, once. Further calls, and calls after the socket closed, do nothing."""

    __slots__ = ("_number", "_socket")

    def __init__(self, socket: Socket, number: int) -> None:
        self._socket: Socket | None = socket
        self._number = number

    def __call__(self, args: bytes) -> None:
        """`args` is the JSON of the arguments, with commas between: usually a single object."""
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.send_text(encode_ack(self._number, args))


class Socket:
    """One client. Sending never waits and never raises; an overfull queue closes the connection."""

    __slots__ = (
        "_held",
        "_last_request",
        "_requests",
        "closed",
        "connection",
        "data",
        "id",
        "joined",
        "private_id",
    )

    def __init__(self, socket_id: str, connection: Connection) -> None:
        self.id = socket_id  # the application may change it, and the next one, while the socket connects
        self.private_id = ""  # what the client has to show to be known again
        self.connection = connection
        self.data: Any = None  # belongs to the application
        self.closed = False
        self.joined = False
        self._held: list[str] | None = []  # what was sent before the CONNECT answer
        self._requests: dict[int, asyncio.Future[bytes | None]] | None = None
        self._last_request = 0

    def send_text(self, packet: str) -> None:
        """Send an encoded Socket.IO packet, such as `2["update",{}]`."""
        if self.closed:
            return
        if self._held is None:
            self.connection.send_message(packet)
        elif len(self._held) < self.connection.settings.queue_packets:
            self._held.append(packet)
        else:
            self.connection.close("send queue overflow")

    def emit(self, name: str, payload: bytes) -> None:
        """Send an event with one argument, given as JSON."""
        if not self.closed:
            self.send_text(encode_event(name, payload))

    def request(self, name: str, payload: bytes) -> asyncio.Future[bytes | None]:
        """Send an event and expect an answer: the JSON of its first argument, or None if it has none.

        Fails with `SocketClosed` as soon as the socket goes. Cancelling the future forgets the request.
        """
        future: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        if self.closed:
            future.set_exception(SocketClosed())
            return future
        if self._requests is None:
            self._requests = {}
        self._last_request = number = self._last_request + 1
        self._requests[number] = future
        future.add_done_callback(partial(self._forget, number))
        self.send_text(encode_event(name, payload, number))
        return future

    @property
    def confirmed(self) -> float:
        """What was sent before this moment (of `time.monotonic`) has reached the client."""
        return self.connection.confirmed

    def close(self) -> None:
        """Close the transport, without a DISCONNECT packet: the client will come back."""
        self.connection.close("server close")

    def join(self) -> None:
        """Answer the client's CONNECT; called by the engine when the application has accepted."""
        self.joined = True
        held, self._held = self._held, None
        self.send_text(encode_connect(self.id, self.private_id))
        for packet in held or ():
            self.send_text(packet)

    def answered(self, number: int, answer: bytes | None) -> None:
        """Resolve a request; answers to unknown or forgotten ones are ignored."""
        future = self._requests.pop(number, None) if self._requests else None
        if future is not None and not future.done():
            future.set_result(answer)

    def gone(self) -> None:
        """Nothing can be sent any more: fail what waits for an answer."""
        self.closed = True
        self._held = None
        requests, self._requests = self._requests, None
        for future in (requests or {}).values():
            if not future.done():
                future.set_exception(SocketClosed())

    def _forget(self, number: int, _: asyncio.Future[bytes | None]) -> None:
        if self._requests is not None:
            self._requests.pop(number, None)
