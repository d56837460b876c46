"""The hostile side: blocking sockets in a process of its own, so that it takes no time from the bystander.

def many_pings(target: Target) -> None:
    with target.websocket() as socket:
        while target.goes_on():
            socket.sendall(PING * 10_000)

An attack is a function of a module, which the process imports. It is called again and again until its time is
over; that the server closed its connection (OSError) is what it has to expect.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

ADDRESS = "127.0.0.2"
"""Where attacks come from, as far as the system lets them: not the bystander's address."""

PATH = "/v1/updates/?EIO=4&transport=websocket"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FIN = 0x80
HEAD, HEAD_16, HEAD_64 = Struct("!BB4x"), Struct("!BBH4x"), Struct("!BBQ4x")


class Target(NamedTuple):
    """The server, an account on it, and until when it is attacked (`time.monotonic`)."""

    port: int
    token: str
    until: float

    def goes_on(self) -> bool:
        return time.monotonic() < self.until

    @contextmanager
    def connection(self) -> Iterator[socket.socket]:
        """A TCP connection. Whatever takes longer than the attack raises TimeoutError."""
        with connect(self.port) as opened:
            opened.settimeout(max(0.01, self.until - time.monotonic()))
            yield opened

    @contextmanager
    def websocket(self, *packets: str) -> Iterator[socket.socket]:
        """A websocket; these packets are sent, and not waited for what they cause."""
        with self.connection() as opened:
            opened.sendall(handshake())
            read_until(opened, b"\r\n\r\n")
            for packet in packets:
                opened.sendall(frame(packet.encode()))
            yield opened

    @contextmanager
    def signed_in(self) -> Iterator[socket.socket]:
        """A websocket whose Socket.IO CONNECT was answered."""
        with self.websocket('40{"token":"' + self.token + '"}') as opened:
            read_until(opened, b"40{")
            yield opened


Attack = Callable[[Target], None]


def connect(port: int) -> socket.socket:
    with contextlib.suppress(OSError):  # systems other than Linux have one loopback address alone
        return socket.create_connection(("127.0.0.1", port), 10, source_address=(ADDRESS, 0))
    return socket.create_connection(("127.0.0.1", port), 10)


def handshake(path: str = PATH) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ).encode()


def frame(payload: bytes, opcode: int = TEXT, fin: int = FIN) -> bytes:
    """A frame of a client, with a mask of zeros, which leaves the bytes as they are."""
    size = len(payload)
    if size < 126:
        return HEAD.pack(fin | opcode, 0x80 | size) + payload
    if size < 65_536:
        return HEAD_16.pack(fin | opcode, 0x80 | 126, size) + payload
    return HEAD_64.pack(fin | opcode, 0x80 | 127, size) + payload


def request(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def read_until(connection: socket.socket, end: bytes) -> bytes:
    """What arrives, up to what contains `end`. Raises ConnectionError when the server closes before that."""
    received = b""
    while end not in received:
        piece = connection.recv(65_536)
        if not piece:
            raise ConnectionError("closed by the server")
        received += piece
    return received


def start(attack: Attack, port: int, token: str, seconds: float) -> BaseProcess:
    """A process that attacks for so long; the caller joins it, or kills it."""
    process = multiprocessing.get_context("spawn").Process(
        target=go_on, args=(attack, port, token, seconds), daemon=True
    )
    process.start()
    return process


def go_on(
    attack: Attack, port: int, token: str, seconds: float, address: str = ADDRESS, niceness: int = 5
) -> None:
    """Attack for so long, from that address of this machine. A real attacker is on another machine: being
    nice, this one takes no processor from the server and its clients."""
    global ADDRESS  # noqa: PLW0603 - a process is one attacker, and attacks connect where they like
    ADDRESS = address
    os.nice(niceness)
    target = Target(port, token, time.monotonic() + seconds)
    while target.goes_on():
        with contextlib.suppress(OSError):
            attack(target)
