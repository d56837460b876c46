"""A Socket.IO client that costs next to nothing: text frames in and out, nothing is decoded."""

import asyncio
from collections.abc import Callable
from struct import Struct
from typing import cast

import msgspec

UPGRADE = (
    b"GET /v1/updates/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
END_OF_HEAD = b"\r\n\r\n"
TEXT, CLOSE = 0x81, 0x88
SHORT, MEDIUM = 126, 65_536
# A frame of a client is masked; a mask of zeros leaves its bytes as they are.
HEAD, HEAD_16, HEAD_64 = Struct("!BB4x"), Struct("!BBH4x"), Struct("!BBQ4x")

OnPacket = Callable[[bytes], None]


def frame(packet: bytes) -> bytes:
    """A Socket.IO packet as a frame ready to be written."""
    length = len(packet) + 1
    if length < SHORT:
        head = HEAD.pack(TEXT, 0x80 | length)
    elif length < MEDIUM:
        head = HEAD_16.pack(TEXT, 0x80 | 126, length)
    else:
        head = HEAD_64.pack(TEXT, 0x80 | 127, length)
    return head + b"4" + packet


class RawSocket(asyncio.Protocol):
    """One connection. `on_packet` gets every Socket.IO packet after the CONNECT answer, as sent."""

    def __init__(self, auth: dict[str, str]) -> None:
        self.on_packet: OnPacket = ignore
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._auth = msgspec.json.encode(auth)
        self._receive = self._upgrade_answer
        self._rest = b""

    def write(self, frames: bytes) -> None:
        self._transport.write(frames)

    def close(self) -> None:
        self.on_packet = ignore
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by birth
        self._transport.write(UPGRADE)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.joined.done():
            self.joined.set_exception(ConnectionError(f"refused: {self._rest[:300]!r} {exc or ''}"))

    def data_received(self, data: bytes) -> None:
        self._receive(self._rest + data if self._rest else data)

    def _upgrade_answer(self, data: bytes) -> None:
        end = data.find(END_OF_HEAD)
        self._rest = data if end < 0 else b""
        if end >= 0:
            self._receive = self._frames
            self._frames(data[end + len(END_OF_HEAD) :])

    def _frames(self, data: bytes) -> None:
        at, available = 0, len(data)
        while available - at >= 2:
            start, length = at + 2, data[at + 1]
            if length >= SHORT:
                start += 2 if length == SHORT else 8
                length = int.from_bytes(data[at + 2 : start])
            if available < start + length:
                break
            if data[at] == CLOSE:
                self._transport.abort()
            else:
                self._packet(data[start : start + length])
            at = start + length
        self._rest = data[at:]

    def _packet(self, packet: bytes) -> None:
        kind = packet[:1]
        if kind == b"4":
            if self.joined.done():
                self.on_packet(packet[1:])
            elif packet[1:2] == b"0":
                self.joined.set_result(None)
            else:
                self.joined.set_exception(ConnectionError(f"refused: {packet!r}"))
        elif kind == b"2":
            self._transport.write(HEAD.pack(TEXT, 0x80 | 1) + b"3")
        elif kind == b"0":
            self._transport.write(frame(b"0" + self._auth))


def ignore(packet: bytes) -> None:
    """What nobody waits for."""


async def connect(port: int, **auth: str) -> RawSocket:
    """A connection that is open once this returns."""
    loop = asyncio.get_running_loop()
    _, socket = await loop.create_connection(lambda: RawSocket(auth), "127.0.0.1", port)
    await socket.joined
    return socket
