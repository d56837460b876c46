"""Connections without end, and those that are held open for nothing: they make room for everybody else."""

import resource
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.attack.attacker import Attack, Target, connect, frame, handshake, read_until, request
from tests.attack.bystander import beside
from tests.attack.conftest import VARIABLES
from tests.support.environments import Environment
from tests.support.server_process import Server

if TYPE_CHECKING:
    import socket

MANY = 400
BREATH = 0.0005
"""Seconds between two connections: at full speed this machine's network stack is what everybody waits for."""

FILES = 400
"""Files that the server may open: fewer than an attacker has connections."""

LIMITS = {"HAPPY_MAX_CONNECTIONS": "200", "HAPPY_MAX_CONNECTIONS_PER_ADDRESS": "150"}


@pytest_asyncio.fixture
async def small_server(environment: Environment, tmp_path: Path) -> AsyncIterator[Server]:
    variables = {**environment.variables, **VARIABLES, **LIMITS}
    async with Server(tmp_path / "home", flavor=environment.flavor, variables=variables) as running:
        assert running.process is not None
        resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (FILES, FILES))
        yield running


def hold(target: Target, first: bytes, drop: bytes) -> None:
    """Many connections at once; each sends something from time to time, and is replaced when it is closed."""
    held: list[socket.socket] = []
    with ExitStack() as stack:
        while target.goes_on():
            if len(held) < MANY:
                time.sleep(BREATH)
                held.append(stack.enter_context(connect(target.port)))
                held[-1].sendall(first)
            else:
                time.sleep(0.1)
            for one in [*held] if drop and len(held) % 20 == 0 else []:
                try:
                    one.sendall(drop)
                except OSError:
                    held.remove(one)


def silent_connections(target: Target) -> None:
    hold(target, b"", b"")


def heads_byte_by_byte(target: Target) -> None:
    hold(target, b"GET / HTTP/1.1\r\nX-Slow: ", b"x")


def bodies_byte_by_byte(target: Target) -> None:
    hold(target, request("POST", "/v1/auth", "Content-Type: application/json", "Content-Length: 999"), b" ")


def idle_after_a_request(target: Target) -> None:
    hold(target, request("GET", "/health"), b"")


def websockets_that_never_sign_in(target: Target) -> None:
    hold(target, handshake(), b"")


def sockets_of_one_account(target: Target) -> None:
    packet = frame(f'40{{"token":"{target.token}"}}'.encode())
    held: list[socket.socket] = []
    while target.goes_on() and len(held) < MANY:
        held.append(connect(target.port))
        held[-1].sendall(handshake())
        read_until(held[-1], b"\r\n\r\n")
        held[-1].sendall(packet)
    while target.goes_on():
        time.sleep(0.1)


def connections_that_come_and_go(target: Target) -> None:
    while target.goes_on():
        connect(target.port).close()
        time.sleep(BREATH)


@pytest.mark.parametrize(
    "attack",
    [
        silent_connections,
        heads_byte_by_byte,
        bodies_byte_by_byte,
        idle_after_a_request,
        websockets_that_never_sign_in,
        sockets_of_one_account,
        connections_that_come_and_go,
    ],
)
async def test_connections_of_one_address_leave_room_for_others(small_server: Server, attack: Attack) -> None:
    (await beside(small_server, attack)).check()

    if attack is not connections_that_come_and_go:
        assert "refused, connections" in small_server.log_text()
