"""Who sends events and calls: each waits for what its last packet led to, then sends the next."""

import asyncio
import time
from collections import deque

from tests.bench.clients import Clients
from tests.bench.load import Load
from tests.bench.raw_socket import RawSocket, frame

WINDOW = 8
PARAMS = b"p" * 256


class Sender:
    """Sends a packet when what one of the last few led to has arrived at another socket."""

    def __init__(self, load: Load, socket: RawSocket, packet: bytes, in_flight: int = 1) -> None:
        self._frame = frame(packet)
        self._load = load
        self._socket = socket
        self._in_flight = in_flight
        self._began: deque[float] = deque()

    def start(self) -> None:
        for _ in range(self._in_flight):
            self._send()

    def _send(self) -> None:
        self._began.append(time.perf_counter())
        self._socket.write(self._frame)

    def arrived(self) -> None:
        self._load.done(self._began.popleft())
        if not self._load.over:
            self._send()


# Fan-out


class Crowd:
    """Sends the next event when one of the last few has reached every receiver."""

    def __init__(self, load: Load, sender: RawSocket, receivers: list[RawSocket], event: bytes) -> None:
        self._load = load
        self._sender = sender
        self._frame = frame(event)
        self._size = len(receivers)
        self._received = 0
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
        self._received += 1
        if self._received % self._size == 0:
            self._load.done(self._began.popleft())
            if not self._load.over:
                self._send()


async def crowd(load: Load, clients: Clients, session_id: str, size: int) -> Crowd:
    """A session's sign of life, which is stored nowhere, to many sockets of its user."""
    sender = await clients.machine()
    receivers = [await clients.user() for _ in range(size)]
    return Crowd(load, sender, receivers, alive(session_id))


def alive(session_id: str) -> bytes:
    now = time.time_ns() // 10**6
    payload = f'{{"sid":"{session_id}","time":{now},"thinking":true,"mode":"remote"}}'
    return b'2["session-alive",' + payload.encode() + b"]"


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


async def rpc(load: Load, callers: Clients, targets: Clients, in_flight: int) -> list[Calls]:
    """A socket of the user calls a method that a machine's socket serves."""
    await serve_echo(targets)
    socket = await callers.user()
    calls = [Calls(load, socket, number) for number in range(in_flight)]

    def on_packet(packet: bytes) -> None:
        if packet.startswith(b"3"):
            calls[int(packet[1 : packet.index(b"[")])].answered(packet)

    socket.on_packet = on_packet
    return calls


async def serve_echo(clients: Clients) -> None:
    """A machine that answers at once."""
    socket = await clients.machine()
    registered = asyncio.get_running_loop().create_future()
    result = b'["' + PARAMS + b'"]'

    def on_packet(packet: bytes) -> None:
        if packet.startswith(b'2["rpc-registered"'):
            registered.set_result(None)
        elif packet.startswith(b"2") and b'["rpc-request"' in packet:
            socket.write(frame(b"3" + packet[1 : packet.index(b"[")] + result))

    socket.on_packet = on_packet
    socket.write(frame(b'2["rpc-register",{"method":"m:echo"}]'))
    await registered
