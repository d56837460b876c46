"""Peers that do not read what they asked for, and signed-in ones that send halves of large messages."""

import json
import socket
import time
from contextlib import ExitStack

import pytest

from tests.attack.attacker import HEAD_64, PONG, TEXT, Attack, Target, connect, frame, read_until, request
from tests.attack.bystander import P99_SECONDS, beside
from tests.support.server_process import Server

MANY = 40
MESSAGE = 3_000_000
MESSAGES = 4


def _post(connection: socket.socket, target: Target, path: str, body: object) -> bytes:
    content = json.dumps(body).encode()
    headers = ("Content-Type: application/json", f"Content-Length: {len(content)}")
    connection.sendall(request("POST", path, f"Authorization: Bearer {target.token}", *headers, body=content))
    return read_until(connection, b"}")


def _large_session(target: Target) -> str:
    """A session with messages of 12 MB in all, as its path."""
    with target.connection() as connection:
        answer = _post(connection, target, "/v1/sessions", {"tag": "large", "metadata": "x"})
        session = answer.partition(b'"id":"')[2].partition(b'"')[0].decode()
        path = f"/v3/sessions/{session}/messages"
        for number in range(MESSAGES):
            messages = {"messages": [{"content": "A" * MESSAGE, "localId": str(number)}]}
            _post(connection, target, path, messages)
        return path


def answers_that_are_not_read(target: Target) -> None:
    path = _large_session(target)
    with ExitStack() as stack:
        held = [stack.enter_context(connect(target.port)) for _ in range(MANY // 2)]
        for connection in held:
            connection.sendall(request("GET", f"{path}?limit=100", f"Authorization: Bearer {target.token}"))
        while target.goes_on():
            time.sleep(0.1)


def updates_that_are_not_read(target: Target) -> None:
    connect_packet = frame(f'40{{"token":"{target.token}"}}'.encode())
    with ExitStack() as stack:
        for _ in range(MANY):
            held = stack.enter_context(target.websocket())
            held.sendall(connect_packet)
            read_until(held, b"40{")
        while target.goes_on():
            _large_session(target._replace(until=target.until))


def halves_of_messages(target: Target) -> None:
    half = HEAD_64.pack(0x80 | TEXT, 0x80 | 127, 15_000_000) + b"4" + b"x" * 14_000_000
    with ExitStack() as stack:
        for _ in range(MANY):
            held = stack.enter_context(target.signed_in())
            held.sendall(half)
        while target.goes_on():
            time.sleep(0.1)


def pongs_instead_of_reading(target: Target) -> None:
    with target.signed_in() as held:
        while target.goes_on():
            held.sendall(frame(b"", PONG) + frame(b"3") + frame(b'421["ping"]') * 1000)


SLOWEST: dict[Attack, float] = {answers_that_are_not_read: 3 * P99_SECONDS}
"""Seconds; 20 answers of 12 MB cost their time whether or not they are read."""


@pytest.mark.parametrize(
    "attack",
    [
        answers_that_are_not_read,
        updates_that_are_not_read,
        halves_of_messages,
        pongs_instead_of_reading,
    ],
)
async def test_peers_that_do_not_read_or_finish_fill_no_memory(server: Server, attack: Attack) -> None:
    felt = await beside(server, attack)
    felt.check(p99=SLOWEST.get(attack, P99_SECONDS))
