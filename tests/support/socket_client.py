"""A small Socket.IO client over one websocket: what a test needs to see, nothing hidden, nothing retried.

    async with SocketClient.open(url, token=token, client_type="session-scoped", session_id=sid) as socket:
        await socket.emit("session-alive", {"sid": sid, "time": now})
        answer = await socket.call("update-state", {...})
        event = await socket.next_event("update")

Every event is held to its schema as it arrives (`event_schemas.py`): one that the app would drop ends the
connection, and closing it tells why. The official client is exercised in `tests/e2e`; this one is for tests
that need many sockets, or the exact packets.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec
import websockets
from websockets.asyncio.client import ClientConnection, connect

from tests.support import event_schemas

PATH = "/v1/updates/?EIO=4&transport=websocket"
TIMEOUT = 20.0
"""Seconds after which a test gives up: far more than a busy machine takes."""


class ConnectRefused(Exception):
    """The server answered the CONNECT packet with a connect error."""


class Disconnected(Exception):
    """The connection ended while something was expected from it."""


class Event(NamedTuple):
    """An event as it arrived: its name and arguments (without the acknowledgement id)."""

    name: str
    args: list[Any]

    @property
    def payload(self) -> Any:
        return self.args[0] if self.args else None


class Inbox:
    """The events a client received: all of them in `events`, each handed out once by `next_event`."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.closed = asyncio.Event()
        self._unread: list[Event] = []
        self._arrived = asyncio.Condition()

    async def wait_closed(self, timeout: float = TIMEOUT) -> None:
        async with asyncio.timeout(timeout):
            await self.closed.wait()

    async def next_event(self, name: str | None = None, *, timeout: float = TIMEOUT) -> Event:
        """The first event not yet handed out, of that name if one is given."""

        def found() -> Event | None:
            return next((event for event in self._unread if name in (None, event.name)), None)

        async with self._arrived:
            try:
                async with asyncio.timeout(timeout):
                    await self._arrived.wait_for(lambda: found() is not None or self.closed.is_set())
            except TimeoutError:
                what = name or "event"
                raise TimeoutError(f"no {what} within {timeout} s; unread: {self._unread}") from None
            event = found()
            if event is None:
                raise Disconnected(f"while waiting for {name or 'an event'}")
            self._unread.remove(event)
            return event

    async def next_update(self, kind: str | None = None, *, timeout: float = TIMEOUT) -> dict[str, Any]:
        """The body of the next `update`; with `kind`, of the next one of that kind (others are dropped)."""
        return await self._next_body("update", "body", "t", kind, timeout)

    async def next_ephemeral(self, kind: str | None = None, *, timeout: float = TIMEOUT) -> dict[str, Any]:
        """The next `ephemeral`; with `kind`, the next one of that type (others are dropped)."""
        return await self._next_body("ephemeral", None, "type", kind, timeout)

    async def _next_body(
        self, name: str, part: str | None, key: str, kind: str | None, timeout: float
    ) -> dict[str, Any]:
        while True:
            event = await self.next_event(name, timeout=timeout)
            body: dict[str, Any] = event.payload if part is None else event.payload[part]
            if kind in (None, body[key]):
                return body

    async def call(self, name: str, *payload: Any, timeout: float = TIMEOUT) -> Any:
        """Emit an event and return its acknowledgement."""
        raise NotImplementedError

    async def unread(self) -> list[Event]:
        """What the server has sent up to now and was not read: an empty list proves silence.

        A ping is the barrier: its acknowledgement comes behind everything that was published before, such as
        what requests caused that are answered, or events of other sockets that are acknowledged.
        """
        await self.call("ping")
        return self.take()

    def take(self) -> list[Event]:
        """What has arrived and was not read."""
        arrived, self._unread = self._unread, []
        return arrived

    def updates(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Bodies of all `update` events so far, read or not."""
        bodies = [event.payload["body"] for event in self.events if event.name == "update"]
        return [body for body in bodies if kind in (None, body["t"])]

    async def _put(self, event: Event) -> None:
        async with self._arrived:
            self.events.append(event)
            self._unread.append(event)
            self._arrived.notify_all()

    async def _end(self) -> None:
        self.closed.set()
        async with self._arrived:
            self._arrived.notify_all()


Handler = Callable[[Any], Any]


class SocketClient(Inbox):
    """One connection, from `async with` to the first reason to end."""

    def __init__(
        self, url: str, auth: dict[str, Any], *, path: str = PATH, connect_timeout: float = TIMEOUT
    ) -> None:
        super().__init__()
        self.url = url.replace("http", "ws", 1).rstrip("/") + path
        self.auth = auth
        self.connect_timeout = connect_timeout
        self.headers: dict[str, str] = {}
        """Of the handshake request."""

        self.open_packet: dict[str, Any] = {}
        self.id = ""
        self.pid = ""
        self.disconnected_by_server = False
        self._handlers: dict[str, Handler] = {}
        self._acks: dict[int, asyncio.Future[Any]] = {}
        self._next_ack = 0
        self._websocket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._answering: set[asyncio.Task[None]] = set()

    @classmethod
    def open(
        cls,
        url: str,
        *,
        token: str | None = None,
        client_type: str | None = None,
        session_id: str | None = None,
        machine_id: str | None = None,
        app_state: str | None = None,
        happy_client: str | None = None,
        connect_timeout: float = TIMEOUT,
        headers: Mapping[str, str] | None = None,
    ) -> "SocketClient":
        """A client for `async with`; absent values are left out of the handshake."""
        given = {
            "token": token,
            "clientType": client_type,
            "sessionId": session_id,
            "machineId": machine_id,
            "appState": app_state,
            "happyClient": happy_client,
        }
        auth = {key: value for key, value in given.items() if value is not None}
        client = cls(url, auth, connect_timeout=connect_timeout)
        client.headers = dict(headers or {})
        return client

    # -- life ----------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def connect(self) -> None:
        """Open the transport and the namespace; events sent right behind the CONNECT answer are not lost."""
        try:
            async with asyncio.timeout(self.connect_timeout):
                await self._handshake()
        except (OSError, websockets.exceptions.WebSocketException) as error:
            await self._close_transport()
            raise Disconnected(f"while connecting: {error!r}") from error
        except BaseException:
            await self._close_transport()
            raise
        self._reader = asyncio.create_task(self._read())

    async def _handshake(self) -> None:
        self._websocket = await connect(
            self.url,
            compression=None,
            max_size=None,
            ping_interval=None,
            open_timeout=None,
            close_timeout=1,
            proxy=None,
            additional_headers=self.headers,
        )
        self.open_packet = msgspec.json.decode((await self._receive())[1:])
        await self._websocket.send("40" + _encode(self.auth))
        while True:
            packet = await self._receive()
            if packet == "2":
                await self._websocket.send("3")
            elif packet.startswith("44"):
                raise ConnectRefused(msgspec.json.decode(packet[2:])["message"])
            elif packet.startswith("40"):
                answer = msgspec.json.decode(packet[2:])
                self.id, self.pid = answer["sid"], answer.get("pid", "")
                return
            else:
                raise AssertionError(f"before the CONNECT answer the server sent {packet!r}")

    async def _receive(self) -> str:
        assert self._websocket is not None
        packet = await self._websocket.recv()
        assert isinstance(packet, str)
        return packet

    async def close(self) -> None:
        """Leave politely: a Socket.IO DISCONNECT, then the transport."""
        with contextlib.suppress(Disconnected):
            await self._send("41")
        await self._close_transport()

    async def drop(self) -> None:
        """Leave without a word, as a process that was killed does."""
        if self._websocket is not None:
            self._websocket.transport.abort()
        await self._close_transport()

    async def _close_transport(self) -> None:
        if self._websocket is not None:
            await self._websocket.close()
        if self._reader is not None:
            await self._reader
        for task in self._answering:
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)
        self.closed.set()

    # -- sending -------------------------------------------------------------------------------------

    async def emit(self, name: str, *payload: Any) -> None:
        await self._send("42" + _encode([name, *payload]))

    async def call(self, name: str, *payload: Any, timeout: float = TIMEOUT) -> Any:
        """Emit and wait for the acknowledgement; its first argument, None if it had none."""
        number, self._next_ack = self._next_ack, self._next_ack + 1
        answer = self._acks[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send(f"42{number}" + _encode([name, *payload]))
            async with asyncio.timeout(timeout):
                arguments = await answer
        finally:
            self._acks.pop(number, None)
            if answer.done() and not answer.cancelled():
                answer.exception()  # the connection may have ended while sending: it is told once
        return arguments[0] if arguments else None

    async def send_raw(self, packet: str) -> None:
        """Send an Engine.IO packet as it is, for tests of malformed input."""
        await self._send(packet)

    async def _send(self, packet: str) -> None:
        assert self._websocket is not None, "not connected"
        try:
            await self._websocket.send(packet)
        except websockets.exceptions.ConnectionClosed as error:
            raise Disconnected(str(error)) from None

    # -- receiving -----------------------------------------------------------------------------------

    def answer(self, name: str, handler: Handler) -> None:
        """Acknowledge events of that name with what `handler(payload)` returns (also an awaitable)."""
        self._handlers[name] = handler

    async def _read(self) -> None:
        try:
            async for packet in self._packets():
                await self._handle(packet)
        finally:
            for waiting in self._acks.values():
                if not waiting.done():
                    waiting.set_exception(Disconnected("before the acknowledgement"))
            await self._end()

    async def _packets(self) -> AsyncIterator[str]:
        assert self._websocket is not None
        with contextlib.suppress(websockets.exceptions.ConnectionClosed):
            async for packet in self._websocket:
                assert isinstance(packet, str)
                yield packet

    async def _handle(self, packet: str) -> None:
        kind, rest = packet[:2], packet[2:]
        if packet == "2":
            with contextlib.suppress(Disconnected):
                await self._send("3")
        elif kind == "41":
            self.disconnected_by_server = True
        elif kind in ("42", "43"):
            number, body = _split_ack_id(rest)
            arguments = msgspec.json.decode(body)
            if kind == "43":
                self._settle(number, arguments)
            else:
                await self._event(number, Event(arguments[0], arguments[1:]))

    def _settle(self, number: int | None, arguments: list[Any]) -> None:
        waiting = None if number is None else self._acks.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(arguments)

    async def _event(self, number: int | None, event: Event) -> None:
        event_schemas.check_event(event.name, event.args)
        await self._put(event)
        if number is not None and event.name in self._handlers:
            task = asyncio.create_task(self._acknowledge(number, event))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    async def _acknowledge(self, number: int, event: Event) -> None:
        result = self._handlers[event.name](event.payload)
        if asyncio.iscoroutine(result):
            result = await result
        with contextlib.suppress(Disconnected):
            await self._send(f"43{number}" + _encode([result]))


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _split_ack_id(text: str) -> tuple[int | None, str]:
    digits = len(text) - len(text.lstrip("0123456789"))
    return (int(text[:digits]) if digits else None), text[digits:]
