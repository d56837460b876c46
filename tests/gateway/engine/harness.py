"""The engine under uvicorn on a loopback port, a recording application, and two clients of raw packets."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from happy.gateway.engine import Ack, EngineSettings, Refused, Server, Socket, SocketClosed
from happy.gateway.engine.connection import Connection
from happy.services.refusals import Refusals
from tests.support.until import until

PATH = "/v1/updates/"
TIMEOUT = 5.0

Handler = Callable[[Socket, list[Any], Ack | None], Awaitable[None] | None]


class Recorder:
    """An application that records its calls. `on` maps event names to handlers."""

    def __init__(self) -> None:
        self.sockets: list[Socket] = []
        self.auths: list[Any] = []
        self.headers: list[Mapping[str, str]] = []
        self.events: list[tuple[str, list[Any]]] = []
        self.left: list[tuple[str, str]] = []  # socket id and reason
        self.log: list[str] = []
        self.on: dict[str, Handler] = {"echo": echo}
        self.admit: Callable[[Socket, Any], Awaitable[None]] = admit_unless_refused

    async def connect(self, socket: Socket, auth: msgspec.Raw | None, headers: Mapping[str, str]) -> None:
        given = None if auth is None else msgspec.json.decode(auth)
        await self.admit(socket, given)
        self.auths.append(given)
        self.headers.append(headers)
        self.sockets.append(socket)
        self.log.append("connect")

    def event(
        self, socket: Socket, name: str, args: list[msgspec.Raw], ack: Ack | None
    ) -> Awaitable[None] | None:
        values = [msgspec.json.decode(arg) for arg in args]
        self.events.append((name, values))
        self.log.append(name)
        return self.on[name](socket, values, ack) if name in self.on else None

    async def disconnected(self, socket: Socket, reason: str) -> None:
        await asyncio.sleep(0)
        self.left.append((socket.id, reason))
        self.log.append(f"disconnected: {reason}")

    def names(self) -> list[str]:
        return [name for name, _ in self.events]

    def reasons(self) -> list[str]:
        return [reason for _, reason in self.left]


def echo(_: Socket, args: list[Any], ack: Ack | None) -> None:
    if ack is not None:
        ack(b",".join(msgspec.json.encode(arg) for arg in args))


async def admit_unless_refused(_: Socket, auth: Any) -> None:
    if isinstance(auth, dict) and "refuse" in auth:
        raise Refused(auth["refuse"])
    if isinstance(auth, dict) and "crash" in auth:
        raise RuntimeError(auth["crash"])


def send_request(socket: Socket) -> "asyncio.Future[bytes | None]":
    """Send a request to the client; its response, or SocketClosed as an error."""
    answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    def on_response(given: msgspec.Raw | SocketClosed | None) -> None:
        if isinstance(given, SocketClosed):
            answer.set_exception(given)
        else:
            answer.set_result(None if given is None else bytes(given))

    socket.request("question", b'{"q":1}', on_response)
    return answer


class Running:
    """A server on a loopback port, from `start` to `stop`."""

    def __init__(self, application: Recorder, settings: EngineSettings, port: int = 0) -> None:
        self.application = application
        self.settings = settings
        self.engine = Server(application, settings)
        self.port = port
        self._uvicorn: uvicorn.Server | None = None

    @property
    def refusals(self) -> Refusals:
        return self.engine.table.refusals

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen. The parts of `uvicorn.Server.serve` without its signal handlers and its slow ticks."""
        config = uvicorn.Config(
            self.engine,
            host="127.0.0.1",
            port=self.port,
            ws=self.engine.websocket_protocol(),
            lifespan="off",
            log_config=None,
        )
        config.load()
        self._uvicorn = uvicorn.Server(config)
        self._uvicorn.lifespan = config.lifespan_class(config)
        await self._uvicorn.startup()
        self.port = self._uvicorn.servers[0].sockets[0].getsockname()[1]

    def connection(self, number: int = 0) -> Connection:
        """What the engine itself keeps of the connection of a socket, in the order of their connects."""
        held = self.application.sockets[number].connection
        assert isinstance(held, Connection)
        return held

    def waiting_polls(self) -> int:
        """How many sessions have a poll that has arrived and waits for packets."""
        transports: list[Any] = [held.transport for held in self.engine._context.connections.values()]
        return sum(getattr(transport, "_waiting", None) is not None for transport in transports)

    async def stop(self) -> None:
        if self._uvicorn is None:
            return
        for listening in self._uvicorn.servers:
            listening.close()
        state = self._uvicorn.server_state
        for connection in list(state.connections):
            connection.shutdown()
        await until(lambda: not state.connections and not state.tasks)
        self._uvicorn = None


class RawWebSocket:
    """A websocket that sends and receives Engine.IO packets as they are."""

    def __init__(self, url: str, query: str = "EIO=4&transport=websocket") -> None:
        self.url = url.replace("http", "ws", 1) + f"{PATH}?{query}"
        self.open_packet: dict[str, Any] = {}
        self.id = ""
        self._websocket: ClientConnection | None = None

    async def __aenter__(self) -> Self:
        self._websocket = await connect(
            self.url, compression=None, max_size=None, ping_interval=None, close_timeout=1, proxy=None
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.websocket.close()

    @property
    def websocket(self) -> ClientConnection:
        assert self._websocket is not None
        return self._websocket

    async def open(self) -> None:
        """Read the open packet."""
        packet = await self.receive()
        assert packet[0] == "0"
        self.open_packet = msgspec.json.decode(packet[1:])

    async def join(self, auth: Any = None) -> None:
        """Open, and connect to the namespace."""
        await self.open()
        await self.send("40" + ("" if auth is None else msgspec.json.encode(auth).decode()))
        packet = await self.receive()
        assert packet.startswith("40"), packet
        self.id = msgspec.json.decode(packet[2:])["sid"]

    async def send(self, *packets: str | bytes) -> None:
        for packet in packets:
            await self.websocket.send(packet)

    async def receive(self) -> str:
        async with asyncio.timeout(TIMEOUT):
            packet = await self.websocket.recv()
        assert isinstance(packet, str)
        return packet

    async def drain(self) -> list[str]:
        """Everything until the server closes the connection."""
        packets: list[str] = []
        with contextlib.suppress(ConnectionClosed):
            while True:
                packets.append(await self.receive())
        return packets

    async def closed(self) -> None:
        """Wait until the server has closed the connection, without having sent anything else."""
        assert await self.drain() == []

    def abort(self) -> None:
        self.websocket.transport.abort()


class Poller:
    """A polling session that sends and receives payloads as they are."""

    def __init__(self, url: str) -> None:
        self.url = url + PATH
        self.sid = ""
        self.open_packet: dict[str, Any] = {}
        self.http = httpx.AsyncClient(timeout=TIMEOUT, trust_env=False, verify=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    @property
    def query(self) -> dict[str, str]:
        return {"EIO": "4", "transport": "polling"} | ({"sid": self.sid} if self.sid else {})

    async def open(self) -> None:
        packet = await self.get()
        assert packet[0] == "0"
        self.open_packet = msgspec.json.decode(packet[1:])
        self.sid = self.open_packet["sid"]

    async def join(self, auth: Any = None) -> str:
        """Open, and connect to the namespace; the socket's id."""
        await self.open()
        assert await self.post("40" + ("" if auth is None else msgspec.json.encode(auth).decode())) == "ok"
        packet = await self.get()
        assert packet.startswith("40"), packet
        return str(msgspec.json.decode(packet[2:])["sid"])

    async def get(self) -> str:
        return (await self.request("GET")).raise_for_status().text

    async def wait(self, server: Running) -> "asyncio.Task[str]":
        """A poll that has arrived at the server, which has nothing to send yet."""
        waiting = asyncio.create_task(self.get())
        await until(lambda: server.waiting_polls() or waiting.done())
        return waiting

    async def post(self, *packets: str) -> str:
        return (await self.request("POST", "\x1e".join(packets))).raise_for_status().text

    async def request(self, method: str, content: str | bytes | None = None, **more: Any) -> httpx.Response:
        return await self.http.request(method, self.url, params=self.query, content=content, **more)
