"""Requests without end: pipelined ones, trailers, chunks of one byte, bodies that nobody wants."""

import select
from contextlib import ExitStack

import pytest

from tests.attack.attacker import Attack, Target, read_until, request
from tests.attack.bystander import beside
from tests.support.server_process import Server

MANY = 20_000
CONNECTIONS = 300
CHUNKED = ("Transfer-Encoding: chunked", "Content-Type: application/json")
POLL = "/v1/updates/?EIO=4&transport=polling"
MEGABYTES_100 = 100 * 1024 * 1024


def pipelined_requests(target: Target) -> None:
    """None of the answers is read."""
    with target.connection() as connection:
        while target.goes_on():
            connection.sendall(request("GET", "/health") * MANY)


def requests_behind_a_poll(target: Target) -> None:
    with target.connection() as connection:
        connection.sendall(request("GET", POLL))
        sid = read_until(connection, b'"upgrades"').partition(b'"sid":"')[2].partition(b'"')[0].decode()
        connection.sendall(request("GET", f"{POLL}&sid={sid}"))
        while target.goes_on():
            connection.sendall(request("GET", "/health") * MANY)


def trailers(target: Target) -> None:
    with target.connection() as connection:
        connection.sendall(request("POST", "/v1/auth", *CHUNKED) + b"2\r\n{}\r\n0\r\n")
        while target.goes_on():
            connection.sendall(b"x: y\r\n" * MANY)


def an_endless_trailer(target: Target) -> None:
    with target.connection() as connection:
        connection.sendall(request("POST", "/v1/auth", *CHUNKED) + b"2\r\n{}\r\n0\r\nx: ")
        while target.goes_on():
            connection.sendall(b"y" * 100_000)


def chunks_of_one_byte(target: Target) -> None:
    with target.connection() as connection:
        authorization = f"Authorization: Bearer {target.token}"
        connection.sendall(request("POST", "/v1/sessions", authorization, *CHUNKED))
        while target.goes_on():
            connection.sendall(b"1\r\n{\r\n" * MANY)


def chunk_extensions(target: Target) -> None:
    with target.connection() as connection:
        connection.sendall(request("POST", "/v1/auth", *CHUNKED))
        while target.goes_on():
            connection.sendall(b"1;" + b"x" * 100_000 + b"\r\n{\r\n")


def bodies_without_a_token(target: Target) -> None:
    with target.connection() as connection:
        connection.sendall(request("POST", "/v1/sessions", f"Content-Length: {MEGABYTES_100}"))
        while target.goes_on():
            connection.sendall(b"x" * 1_000_000)


def bodies_for_nothing(target: Target) -> None:
    with target.connection() as connection:
        connection.sendall(request("POST", "/no-such-path", *CHUNKED))
        while target.goes_on():
            connection.sendall(b"f4240\r\n" + b"x" * 1_000_000 + b"\r\n")


@pytest.mark.parametrize(
    "attack",
    [
        pipelined_requests,
        requests_behind_a_poll,
        trailers,
        an_endless_trailer,
        chunks_of_one_byte,
        chunk_extensions,
        bodies_without_a_token,
        bodies_for_nothing,
    ],
)
async def test_requests_without_end_keep_nobody_waiting(server: Server, attack: Attack) -> None:
    (await beside(server, attack)).check()


def requests_of_many_connections(target: Target) -> None:
    """The next of each as soon as it is answered."""
    data = request("GET", "/v1/sessions", f"Authorization: Bearer {target.token}")
    with ExitStack() as stack:
        opened = [stack.enter_context(target.connection()) for _ in range(CONNECTIONS)]
        for connection in opened:
            connection.sendall(data)
        while target.goes_on():
            for connection in select.select(opened, [], [], 0.1)[0]:
                if not connection.recv(65_536):
                    return
                connection.sendall(data)


async def test_requests_of_many_connections_take_turns_with_those_of_others(server: Server) -> None:
    (await beside(server, requests_of_many_connections)).check()
