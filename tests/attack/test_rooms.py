"""What an account makes the server keep: names, calls of methods that nobody serves, lost handshakes."""

import json
import struct
import time
from contextlib import ExitStack
from socket import SO_LINGER, SOL_SOCKET, socket
from typing import Any

import pytest
from nacl.signing import SigningKey

from tests.attack.attacker import Attack, Target, frame, read_until, request
from tests.attack.bystander import P99_SECONDS, beside
from tests.support.api_client import sign_in_body
from tests.support.server_process import Server

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


def large_messages(target: Target) -> None:
    """Of three new accounts at once, the next when all were acknowledged."""
    with ExitStack() as stack:
        senders = [_sender(target, stack) for _ in range(3)]
        while target.goes_on():
            for socket, message in senders:
                socket.sendall(message)
            for socket, _ in senders:
                read_until(socket, b"431[")


def _sender(target: Target, stack: ExitStack) -> tuple[socket, bytes]:
    token = _post(target, "/v1/auth", sign_in_body(SigningKey.generate()))["token"]
    account = target._replace(token=token)
    session = _post(account, "/v1/sessions", {"tag": "t", "metadata": "m"})["session"]["id"]
    message = f'421["message",{{"sid":"{session}","message":"{LONG_NAME}"}}]'
    return stack.enter_context(account.signed_in()), frame(message.encode())


def _post(target: Target, path: str, body: object) -> Any:
    content = json.dumps(body).encode()
    headers = ("Content-Type: application/json", f"Content-Length: {len(content)}")
    with target.connection() as connection:
        token = f"Authorization: Bearer {target.token}"
        connection.sendall(request("POST", path, token, *headers, "Connection: close", body=content))
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    return json.loads(answer.partition(b"\r\n\r\n")[2])


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


async def test_large_messages_of_several_accounts_kept_everybody_waiting(server: Server) -> None:
    """They keep the disk, and databases, for longer than the server: hence the time for messages."""
    (await beside(server, large_messages)).check(p99=10 * P99_SECONDS)
