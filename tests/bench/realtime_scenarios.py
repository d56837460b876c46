"""Events and remote calls between sockets."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.api_client import ApiClient
from tests.bench.figures import Aim, Figure
from tests.bench.http_scenarios import CONTENT, session, token
from tests.bench.load import Load
from tests.bench.raw_socket import RawSocket, connect, frame
from tests.bench.server import MeasuredServer, fresh_server

RECEIVERS = 20
WINDOW = 8
PARAMS = b"p" * 256
SID = b'"sid":"'


@asynccontextmanager
async def signed_in() -> AsyncIterator[tuple[MeasuredServer, ApiClient]]:
    async with fresh_server() as server, ApiClient.signed_in(server.url) as api:
        yield server, api


# Messages


class Sender:
    """Sends a message when the last one has arrived at another socket."""

    def __init__(self, load: Load, socket: RawSocket, session_id: str) -> None:
        payload = f'{{"sid":"{session_id}","message":"{CONTENT}"}}'
        self._frame = frame(b'2["message",' + payload.encode() + b"]")
        self._load = load
        self._socket = socket
        self._began = 0.0

    def start(self) -> None:
        self._began = time.perf_counter()
        self._socket.write(self._frame)

    def arrived(self) -> None:
        self._load.done(self._began)
        if not self._load.over:
            self.start()


async def message_one_sender(seconds: float) -> list[Figure]:
    return [await messages("socket message to update, 1 sender", seconds, 1)]


async def message_many_senders(seconds: float) -> list[Figure]:
    return [await messages("socket message to update, 32 senders", seconds, 32)]


async def messages(name: str, seconds: float, senders: int) -> Figure:
    """Sockets of as many sessions write, one socket of the user reads."""
    async with signed_in() as (server, api):
        load = Load(server, seconds)
        by_session: dict[bytes, Sender] = {}
        for _ in range(senders):
            session_id = await session(api)
            socket = await connect(
                server.port, token=token(api), clientType="session-scoped", sessionId=session_id
            )
            by_session[session_id.encode()] = Sender(load, socket, session_id)
        reader = await connect(server.port, token=token(api), clientType="user-scoped")

        def on_packet(packet: bytes) -> None:
            if packet.startswith(b'2["update"'):
                by_session[packet.partition(SID)[2].partition(b'"')[0]].arrived()

        reader.on_packet = on_packet
        return await load.run(name, list(by_session.values()), unit="msg/s")


# Fan-out


class Crowd:
    """Sends the next event when one of the last few has reached every receiver."""

    def __init__(self, load: Load, sender: RawSocket, receivers: list[RawSocket], event: bytes) -> None:
        self._load = load
        self._sender = sender
        self._frame = frame(event)
        self._size = len(receivers)
        self._heard = 0
        self._began: deque[float] = deque()
        for receiver in receivers:
            receiver.on_packet = self._on_packet

    def start(self) -> None:
        for _ in range(WINDOW):
            self._send()

    def _send(self) -> None:
        self._began.append(time.perf_counter())
        self._sender.write(self._frame)

    def _on_packet(self, packet: bytes) -> None:
        if not packet.startswith(b'2["ephemeral"'):
            return
        self._heard += 1
        if self._heard % self._size == 0:
            self._load.done(self._began.popleft())
            if not self._load.over:
                self._send()


async def fan_out(seconds: float) -> list[Figure]:
    """A session's sign of life, which is stored nowhere, to many sockets of its user."""
    async with signed_in() as (server, api):
        load = Load(server, seconds)
        session_id = await session(api)
        sender = await connect(server.port, token=token(api), clientType="machine-scoped", machineId="m")
        receivers = [
            await connect(server.port, token=token(api), clientType="user-scoped") for _ in range(RECEIVERS)
        ]
        alive = (
            f'2["session-alive",{{"sid":"{session_id}","time":{time.time_ns() // 10**6},"thinking":true}}]'
        )
        crowd = Crowd(load, sender, receivers, alive.encode())
        name = f"fan-out to {RECEIVERS} sockets, {WINDOW} in flight"
        return [await load.run(name, [crowd], unit="deliveries/s", of_each=RECEIVERS)]


# Remote calls


class Calls:
    """Keeps one call in flight; several of them share the two sockets."""

    def __init__(self, load: Load, socket: RawSocket, number: int) -> None:
        self._load = load
        self._socket = socket
        self._frame = frame(b'2%d["rpc-call",{"method":"m:echo","params":"%s"}]' % (number, PARAMS))
        self._began = 0.0

    def start(self) -> None:
        self._began = time.perf_counter()
        self._socket.write(self._frame)

    def answered(self, packet: bytes) -> None:
        if b'"ok":true' not in packet:
            self._load.fail(f"unexpected answer: {packet!r}")
        self._load.done(self._began)
        if not self._load.over:
            self.start()


async def rpc_one(seconds: float) -> list[Figure]:
    return [await rpc("RPC round trip, 1 in flight", seconds, 1)]


async def rpc_many(seconds: float) -> list[Figure]:
    return [await rpc("RPC round trip, 32 in flight", seconds, 32, Aim(4000))]


async def rpc(name: str, seconds: float, in_flight: int, aim: Aim | None = None) -> Figure:
    """A socket of the user calls a method that a machine's socket serves."""
    async with signed_in() as (server, api):
        load = Load(server, seconds)
        await serve_echo(server.port, token(api))
        caller = await connect(server.port, token=token(api), clientType="user-scoped")
        calls = [Calls(load, caller, number) for number in range(in_flight)]

        def on_packet(packet: bytes) -> None:
            if packet.startswith(b"3"):
                calls[int(packet[1 : packet.index(b"[")])].answered(packet)

        caller.on_packet = on_packet
        return await load.run(name, calls, unit="calls/s", aim=aim)


async def serve_echo(port: int, token: str) -> None:
    """A machine that answers at once."""
    socket = await connect(port, token=token, clientType="machine-scoped", machineId="m")
    registered = asyncio.get_running_loop().create_future()
    result = b'["' + PARAMS + b'"]'

    def on_packet(packet: bytes) -> None:
        if packet.startswith(b'2["rpc-registered"'):
            registered.set_result(None)
        else:
            socket.write(frame(b"3" + packet[1 : packet.index(b"[")] + result))

    socket.on_packet = on_packet
    socket.write(frame(b'2["rpc-register",{"method":"m:echo"}]'))
    await registered
