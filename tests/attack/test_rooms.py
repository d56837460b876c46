"""What an account makes the server keep: names, calls of methods that nobody serves, lost handshakes."""

import struct
import time
from contextlib import ExitStack
from functools import partial
from socket import SO_LINGER, SOL_SOCKET

import pytest

from tests.attack.attacker import Attack, Target, frame, read_until
from tests.attack.bystander import beside
from tests.e2e.server import Server
from tests.support.api_client import ApiClient

LONG_NAME = "x" * 15_000_000
PARAMS = "x" * 5_000_000
LONG_ID = "x" * 15_000
RESET = struct.pack("ii", 1, 0)
"""Close without a goodbye."""


def endless_method_names(target: Target) -> None:
    with target.signed_in() as socket:
        for number in range(15):
            socket.sendall(frame(f'42["rpc-register",{{"method":"{number}{LONG_NAME}"}}]'.encode()))
            read_until(socket, b"rpc-error")


def many_method_names(target: Target) -> None:
    with target.signed_in() as socket:
        packets = b"".join(
            frame(f'42["rpc-register",{{"method":"{number:0500}"}}]'.encode()) for number in range(1_100)
        )
        socket.sendall(packets)
        read_until(socket, b"Too many methods")


def calls_of_absent_methods(target: Target) -> None:
    """No faster than a network of 100 MB/s: this is about what is kept."""
    with target.signed_in() as socket:
        while target.goes_on():
            socket.sendall(frame(f'421["rpc-call",{{"method":"none","params":"{PARAMS}"}}]'.encode()))
            time.sleep(len(PARAMS) / 100_000_000)


def large_messages(session: str, target: Target) -> None:
    """Of several sockets at once."""
    message = f'42["message",{{"sid":"{session}","message":"{LONG_NAME}"}}]'.encode()
    with ExitStack() as stack:
        for socket in [stack.enter_context(target.signed_in()) for _ in range(2)]:
            socket.sendall(frame(message))
        time.sleep(1)


def lost_handshakes(target: Target) -> None:
    """Each as a client of a session with an endless name, whose connection then breaks."""
    auth = f'{{"token":"{target.token}","clientType":"session-scoped","sessionId":"{LONG_ID}"}}'
    with target.websocket(f"40{auth}") as socket:
        read_until(socket, b"4")
        socket.setsockopt(SOL_SOCKET, SO_LINGER, RESET)


def lost_sockets(target: Target) -> None:
    with target.signed_in() as socket:
        socket.setsockopt(SOL_SOCKET, SO_LINGER, RESET)


@pytest.mark.parametrize(
    "attack",
    [endless_method_names, many_method_names, calls_of_absent_methods, lost_handshakes, lost_sockets],
    ids=lambda attack: attack.__name__,
)
async def test_what_one_account_makes_the_server_keep_is_not_felt_by_others(
    server: Server, attack: Attack
) -> None:
    (await beside(server, attack)).check()


async def test_large_messages_of_many_sockets_filled_the_memory(server: Server) -> None:
    """Each costs time as well, so this is about memory, and about being served at all."""
    async with ApiClient.signed_in(server.url) as api:
        session = str((await api.create_session())["id"])
        (await beside(server, partial(large_messages, session), token=api.token)).check(p99=10.0)
