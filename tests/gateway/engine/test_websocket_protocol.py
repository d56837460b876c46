"""The websocket protocol itself, on connections that bypass ASGI, byte by byte."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode

from happy.gateway.engine import Socket, frames
from tests.gateway.engine.conftest import Serve
from tests.gateway.engine.harness import RawWebSocket, Running
from tests.support.until import until

TARGET = "/v1/updates/?EIO=4&transport=websocket"


class Wire:
    """A TCP connection that speaks websocket by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def upgrade(self, target: str = TARGET, **headers: str) -> str:
        """Ask for a websocket; the head of the answer."""
        self.writer.write(request_head(target, **headers))
        return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    def send(self, opcode: int, payload: bytes, *, fin: bool = True) -> None:
        self.writer.write(Frame(Opcode(opcode), payload, fin=fin).serialize(mask=True))

    async def receive(self) -> tuple[int, bytes]:
        async with asyncio.timeout(5):
            first, size = await self.reader.readexactly(2)
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2))
            return first & 0x0F, await self.reader.readexactly(size)

    async def join(self) -> None:
        assert (await self.upgrade()).startswith("HTTP/1.1 101")
        await self.receive()
        self.send(frames.TEXT, b"40")
        assert (await self.receive())[1].startswith(b"40")

    async def closed_with(self) -> int:
        """The code of the close frame that comes next."""
        opcode, payload = await self.receive()
        assert opcode == frames.CLOSE
        return int.from_bytes(payload)


def request_head(target: str = TARGET, **headers: str) -> bytes:
    """A request for a websocket; a header given as empty is left out."""
    asked = {
        "Host": "x",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(b"0" * 16).decode(),
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}" for name, value in asked.items() if value]
    return "\r\n".join([f"GET {target} HTTP/1.1", *lines, "", ""]).encode()


Dial = Callable[[], Awaitable[Wire]]


@pytest.fixture
async def dial(server: Running) -> AsyncIterator[Dial]:
    wires: list[Wire] = []

    async def connect() -> Wire:
        wires.append(Wire(*await asyncio.open_connection("127.0.0.1", server.port)))
        return wires[-1]

    yield connect
    for wire in wires:
        wire.writer.transport.abort()


async def test_frames_may_be_cut_anywhere(server: Running, dial: Dial) -> None:
    wire = await dial()
    await wire.join()
    for byte in Frame(Opcode.TEXT, '421["echo","é😀"]'.encode()).serialize(mask=True):
        wire.writer.write(bytes((byte,)))
        await asyncio.sleep(0.001)  # so that each byte is a segment of its own

    assert await wire.receive() == (frames.TEXT, '431["é😀"]'.encode())


async def test_a_message_may_be_fragmented(server: Running, dial: Dial) -> None:
    wire = await dial()
    await wire.join()
    wire.send(frames.TEXT, b'421["ec', fin=False)
    wire.send(frames.PING, b"!")
    wire.send(frames.CONTINUATION, b'ho",1]')

    assert await wire.receive() == (frames.PONG, b"!")
    assert await wire.receive() == (frames.TEXT, b"431[1]")


async def test_a_closing_handshake_is_answered_and_completed(server: Running, dial: Dial) -> None:
    wire = await dial()
    await wire.join()
    wire.send(frames.TEXT, b'42["session-end"]')
    wire.send(frames.CLOSE, (1001).to_bytes(2) + b"going")

    assert await wire.closed_with() == 1001
    assert await wire.reader.read() == b""
    await until(lambda: server.application.log == ["connect", "session-end", "disconnected: transport close"])


async def test_a_large_packet_on_its_way_counts_as_a_sign_of_life(serve: Serve, dial: Dial) -> None:
    patient = await serve(ping_interval=0.05, ping_timeout=0.15)
    wire = Wire(*await asyncio.open_connection("127.0.0.1", patient.port))
    await wire.join()
    for byte in Frame(Opcode.TEXT, b'421["echo","slow"]').serialize(mask=True):
        await asyncio.sleep(0.03)  # a pace, slower than a pong may be
        wire.writer.write(bytes((byte,)))
    answers = [await wire.receive() for _ in range(2)]
    wire.writer.close()

    assert answers == [(frames.TEXT, b"2"), (frames.TEXT, b'431["slow"]')]


@pytest.mark.parametrize(
    "goodbye", [Frame(Opcode.CLOSE, b"").serialize(mask=True), None], ids=["close", "eof"]
)
async def test_a_peer_that_leaves_is_gone_at_once_even_if_it_does_not_read(
    server: Running, dial: Dial, monkeypatch: pytest.MonkeyPatch, goodbye: bytes | None
) -> None:
    monkeypatch.setattr("happy.gateway.engine.websocket.CLOSE_SECONDS", 0.5)
    wire = await dial()
    await wire.join()
    wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
    held = server.application.sockets[0]
    while server.connection().transport.ready:
        held.emit("fill", b'"' + b"x" * 100_000 + b'"')
        await asyncio.sleep(0)
    wire.writer.write(goodbye) if goodbye else wire.writer.write_eof()

    await until(lambda: server.application.reasons() == ["transport close"])
    link: Any = server.connection().transport
    assert link in link._connections
    await until(lambda: link not in link._connections)


async def test_a_close_by_the_server_waits_for_the_answer(server: Running, dial: Dial) -> None:
    wire = await dial()
    await wire.join()
    server.application.sockets[0].close()
    assert await wire.closed_with() == 1000
    wire.send(frames.TEXT, b'42["too-late"]')
    wire.send(frames.CLOSE, (1000).to_bytes(2))

    assert await wire.reader.read() == b""
    assert server.application.log == ["connect", "disconnected: server close"]


async def test_a_peer_that_does_not_answer_a_close_is_cut_off(
    server: Running, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("happy.gateway.engine.websocket.CLOSE_SECONDS", 0.1)
    wire = await dial()
    await wire.join()
    server.application.sockets[0].close()
    await wire.closed_with()

    assert await asyncio.wait_for(wire.reader.read(), 1) == b""


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x02ab", frames.CLOSE_PROTOCOL),
        (b"\xff" * 50, frames.CLOSE_PROTOCOL),
        (Frame(Opcode.TEXT, b"\xff\xfe").serialize(mask=True), frames.CLOSE_NOT_UTF8),
        (b"\x81\xff" + (10**9).to_bytes(8) + b"\0\0\0\0", frames.CLOSE_TOO_LARGE),
    ],
    ids=["unmasked", "garbage", "not text", "too large"],
)
async def test_a_broken_stream_is_closed_with_a_reason(
    server: Running, dial: Dial, data: bytes, code: int
) -> None:
    wire = await dial()
    await wire.join()
    wire.writer.write(data)

    assert await wire.closed_with() == code
    assert await wire.reader.read() == b""
    await until(lambda: server.application.reasons() == ["transport close"])


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        ("/v1/other/?EIO=4&transport=websocket", {}, 404),
        ("/v1/updates?EIO=4&transport=websocket", {}, 404),
        ("/v1/updates/?EIO=3&transport=websocket", {}, 400),
        (TARGET, {"Sec_WebSocket_Key": ""}, 400),
        (TARGET, {"Sec_WebSocket_Version": "8"}, 400),
    ],
)
async def test_a_wrong_handshake_is_refused(
    server: Running, dial: Dial, target: str, headers: dict[str, str], status: int
) -> None:
    wire = await dial()

    assert (await wire.upgrade(target, **headers)).startswith(f"HTTP/1.1 {status} ")
    await asyncio.wait_for(wire.reader.read(), 1)
    assert server.engine.connection_count == 0


async def test_a_refused_handshake_names_the_reason(server: Running, dial: Dial) -> None:
    wire = await dial()
    head = await wire.upgrade("/v1/updates/?EIO=3&transport=websocket")

    assert "application/json" in head
    assert await wire.reader.read() == b'{"code":5,"message":"Unsupported protocol version"}'


async def test_the_handshake_is_answered_and_the_session_opened_in_one_piece(server: Running) -> None:
    """A client whose link broke between the two waited for its time-out of 20 seconds."""
    tape = Tape()
    link = server.engine.websocket_protocol()(ServerState())  # type: ignore[call-arg]
    link.connection_made(tape)
    link.data_received(request_head())
    link.connection_lost(None)

    assert len(tape.written) == 1
    assert tape.written[0].startswith(b"HTTP/1.1 101")
    assert b'0{"sid":' in tape.written[0]


class Tape(asyncio.Transport):
    """A TCP transport that keeps what each call writes."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        self.written.append(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return False


async def test_answers_to_packets_that_came_together_leave_together(server: Running, dial: Dial) -> None:
    wire = await dial()
    await wire.join()
    packets = (f'42{number}["echo",{number}]'.encode() for number in range(20))
    wire.writer.write(b"".join(Frame(Opcode.TEXT, packet).serialize(mask=True) for packet in packets))
    together = await wire.reader.read(100_000)

    assert together.count(b"43") >= 20


async def test_what_the_last_packet_of_a_read_sends_does_not_wait(server: Running, dial: Dial) -> None:
    """Packets before it do: their answers leave with its own, in one call."""
    wire = await dial()
    await wire.join()
    link: Any = server.connection().transport
    tcp, link._tcp = link._tcp, (tape := Tape())
    written: list[int] = []

    def look_after_sending(socket: Socket, *_: Any) -> None:
        socket.emit("n", b"1")
        written.append(len(tape.written))

    server.application.on["look"] = look_after_sending
    look = Frame(Opcode.TEXT, b'42["look"]').serialize(mask=True)
    link.data_received(look)
    link.data_received(look * 3)
    link._tcp = tcp

    assert written == [1, 1, 1, 2]
    assert [1, 3] == [together.count(b'["n",1]') for together in tape.written]


async def test_what_is_sent_in_one_turn_is_written_in_one_call(server: Running, dial: Dial) -> None:
    wire = await dial()
    await wire.join()
    written: list[int] = []
    held = server.application.sockets[0]
    link: Any = server.connection().transport
    link._tcp = Spy(link._tcp, written)
    for _ in range(50):
        held.emit("n", b"1")
    assert written == []
    await until(lambda: written)

    assert written == [50]


async def test_what_is_not_urgent_leaves_at_the_end_of_the_turn_in_order(server: Running, dial: Dial) -> None:
    wire = await dial()
    await wire.join()
    socket = server.application.sockets[0]
    link: Any = server.connection().transport
    tcp, link._tcp = link._tcp, (tape := Tape())

    def send_soon(_: Socket, args: list[Any], *__: Any) -> None:
        socket.send(b'42["soon"]', soon=True)
        if args:
            socket.send(b'42["now"]')

    server.application.on["soon"] = send_soon
    soon = Frame(Opcode.TEXT, b'42["soon"]').serialize(mask=True)
    for _ in range(3):
        link.data_received(soon)
    before = list(tape.written)
    await asyncio.sleep(0)
    link.data_received(Frame(Opcode.TEXT, b'42["soon",1]').serialize(mask=True))
    link._tcp = tcp

    assert before == []
    assert [together.count(b'["soon"]') for together in tape.written] == [3, 1]
    assert tape.written[1].endswith(b'["now"]')


class Spy:
    """A TCP transport that notes how many frames each of its writes holds."""

    def __init__(self, transport: asyncio.Transport, written: list[int]) -> None:
        self._transport = transport
        self._written = written

    def writelines(self, lines: list[bytes]) -> None:
        self._written.append(len(lines))
        self._transport.writelines(lines)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


async def test_an_overflow_inside_a_handler_that_waits_ends_well(server: Running) -> None:
    async def flood(socket: Socket, *_: Any) -> None:
        for _number in range(400):
            socket.emit("x", b'"' + b"x" * 100_000 + b'"')
        await asyncio.sleep(0.01)  # the work of the handler

    def flood_and_wait(socket: Socket, *_: Any) -> Awaitable[None]:
        for _number in range(400):
            socket.emit("x", b'"' + b"x" * 100_000 + b'"')
        return asyncio.sleep(0.01)

    server.application.on |= {"flood": flood, "flood-and-wait": flood_and_wait}
    for name in ("flood", "flood-and-wait"):
        async with RawWebSocket(server.url) as socket:
            await socket.join()
            socket.websocket.transport.pause_reading()
            await socket.send(f'42["{name}"]', '42["after"]')
            await until(lambda: server.application.log[-1] == "disconnected: send queue overflow")
            socket.abort()
    assert server.engine._context.unfinished == 0
