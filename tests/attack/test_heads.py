"""Heads of requests that are expensive to read, though none is larger than it may be."""

from contextlib import ExitStack

import pytest

from tests.attack.attacker import Attack, Target, handshake, read_until, request
from tests.attack.bystander import beside
from tests.support.server_process import Server

WHOLE = 65_000
"""Bytes, just below the limit of a head."""

HEADERS = ["a:"] * (WHOLE // 4)
PARAMETERS = "a&" * (WHOLE // 2)
POLL = "/v1/updates/?EIO=4&transport=polling"
AT_ONCE = 32
"""Connections that each send one request, and the next when it was answered."""


def _send_again(target: Target, head: bytes) -> None:
    with ExitStack() as stack:
        connections = [stack.enter_context(target.connection()) for _ in range(AT_ONCE)]
        while target.goes_on():
            for connection in connections:
                connection.sendall(head)
            for connection in connections:
                read_until(connection, b"\r\n\r\n")


def many_headers(target: Target) -> None:
    _send_again(target, request("GET", "/health", *HEADERS))


def many_headers_of_polls(target: Target) -> None:
    _send_again(target, request("GET", POLL, *HEADERS))


def many_headers_of_handshakes(target: Target) -> None:
    _send_again(target, handshake().removesuffix(b"\r\n") + "\r\n".join([*HEADERS, "", ""]).encode())


def many_headers_of_an_unknown_upgrade(target: Target) -> None:
    _send_again(target, request("GET", "/health", "Upgrade: h2c", "Connection: Upgrade", *HEADERS))


def many_segments(target: Target) -> None:
    _send_again(target, request("GET", "/" * WHOLE))


def many_escapes(target: Target) -> None:
    _send_again(target, request("GET", "/files/" + "%41/" * (WHOLE // 4)))


def many_parameters(target: Target) -> None:
    _send_again(target, request("GET", f"/v1/feed?{PARAMETERS}", f"Authorization: Bearer {target.token}"))


def tunnels(target: Target) -> None:
    """Each was parsed again and again, to the end of the stack."""
    _send_again(target, request("CONNECT", "other:443"))


@pytest.mark.parametrize(
    "attack",
    [
        many_headers,
        many_headers_of_polls,
        many_headers_of_handshakes,
        many_headers_of_an_unknown_upgrade,
        many_segments,
        many_escapes,
        many_parameters,
        tunnels,
    ],
    ids=lambda attack: attack.__name__,
)
async def test_heads_that_are_expensive_to_read_keep_nobody_waiting(server: Server, attack: Attack) -> None:
    (await beside(server, attack)).check()
