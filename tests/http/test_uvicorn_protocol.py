"""Read timeouts and size limits of request heads and bodies."""

import asyncio
import gc
from typing import Any

import pytest

from happy.http.framework import body, request_limits, uvicorn_protocol
from tests.support.api_client import ApiClient
from tests.support.raw_http import RawConnection
from tests.support.server_thread import RunningServer

JSON = {"Content-Type": "application/json"}


async def ended(connection: RawConnection) -> bool:
    """Whether the server ends the connection soon, without an answer."""
    try:
        return await asyncio.wait_for(connection.reader.read(), 3) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


async def write_endlessly(connection: RawConnection) -> None:
    """Raises ConnectionError once the server has closed the connection."""
    while True:
        connection.writer.write(b"x")
        await connection.writer.drain()
        await asyncio.sleep(0.02)


async def test_a_head_that_exceeds_its_read_timeout_closes_the_connection(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_limits, "HEAD_SECONDS", 0.3)
    async with await RawConnection.open(server.port) as slow:
        slow.writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nX-")

        assert await ended(slow)


async def test_a_head_larger_than_the_limit_is_refused(server: RunningServer) -> None:
    async with await RawConnection.open(server.port) as endless:
        endless.writer.write(b"GET /health HTTP/1.1\r\n")
        for number in range(700):
            endless.writer.write(f"X-{number}: {'x' * 100}\r\n".encode())

        answer = await endless.answer("GET")
        assert (431, "close") == (answer.status, answer.headers["connection"])


@pytest.mark.parametrize(("count", "status"), [(999, 200), (1_000, 431)])
async def test_a_head_with_too_many_headers_is_refused(
    server: RunningServer, count: int, status: int
) -> None:
    """The first one is `Host`. 16,000 fit into a head, and took 20 ms."""
    async with await RawConnection.open(server.port) as connection:
        connection.writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"a:\r\n" * count + b"\r\n")

        assert status == (await connection.answer("GET")).status


@pytest.mark.parametrize(("size", "status"), [(16_384, 200), (16_385, 414)])
async def test_a_target_that_is_too_long_is_refused(server: RunningServer, size: int, status: int) -> None:
    async with await RawConnection.open(server.port) as connection:
        target = "/health?".ljust(size, "x")

        assert status == (await connection.request("GET", target)).status


async def test_a_refused_head_that_never_ends_is_closed_soon(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time to read the refusal; it does not get the time that a head may take."""
    monkeypatch.setattr(request_limits, "DISCARD_SECONDS", 0.2)
    async with await RawConnection.open(server.port) as connection, asyncio.timeout(10):
        connection.writer.write(b"GET /health?".ljust(20_000, b"x") + b" HTTP/1.1\r\nX-")
        assert (await connection.reader.readline()).startswith(b"HTTP/1.1 414 ")

        with pytest.raises(ConnectionError):
            await write_endlessly(connection)


@pytest.mark.parametrize("headers", [{}, {"Upgrade": "h2c", "Connection": "Upgrade"}])
async def test_a_tunnel_is_refused(server: RunningServer, headers: dict[str, str]) -> None:
    """Its head was parsed again and again, to the end of the stack."""
    async with await RawConnection.open(server.port) as connection:
        answer = await connection.request("CONNECT", "other:443", headers)

        assert (400, "close") == (answer.status, answer.headers["connection"])


async def test_requests_with_large_heads_and_bodies_are_answered(server: RunningServer) -> None:
    async with await RawConnection.open(server.port) as connection:
        for _ in range(3):
            answer = await connection.request("GET", "/health", {"X-Large": "x" * 30_000})
            assert answer.status == 200
            answer = await connection.request("POST", "/v1/auth/request", JSON, b"x" * 300_000)
            assert answer.status in {400, 413}


async def test_the_read_timeout_of_the_head_does_not_apply_to_the_body(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_limits, "HEAD_SECONDS", 0.2)
    async with await RawConnection.open(server.port) as connection:
        connection.send("POST", "/v1/auth/request", {**JSON, "Content-Length": "2"}, b"")
        await asyncio.sleep(0.5)
        connection.writer.write(b"{}")

        assert (await connection.answer("POST")).status == 400


@pytest.mark.parametrize("length", ["Content-Length: 20", "Transfer-Encoding: chunked"])
async def test_a_body_that_stops_arriving_closes_the_connection(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, length: str
) -> None:
    monkeypatch.setattr(request_limits, "BODY_SECONDS", 0.3)
    name, value = length.split(": ")
    async with await RawConnection.open(server.port) as stalled:
        stalled.send("POST", "/v1/auth/request", {**JSON, name: value}, b"")
        stalled.writer.write(b"5\r\n{    \r\n")

        assert await ended(stalled)


async def test_each_piece_of_a_body_restarts_its_read_timeout(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_limits, "BODY_SECONDS", 0.7)
    async with await RawConnection.open(server.port) as connection:
        for _ in range(2):
            connection.send("POST", "/v1/auth/request", {**JSON, "Content-Length": "8"}, b"")
            for piece in (b"{ ", b"  ", b"  ", b" }"):
                await asyncio.sleep(0.2)
                connection.writer.write(piece)

            assert (await connection.answer("POST")).status == 400
        await asyncio.sleep(0.9)
        assert (await connection.request("GET", "/health", {})).status == 200


async def test_backpressure_suspends_the_read_timeout_of_a_body(
    api: ApiClient, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server stops reading while it is busy with what came before."""
    monkeypatch.setattr(request_limits, "BODY_SECONDS", 0.2)
    token, read = f"Bearer {api.token}", body._content

    async def read_late(*arguments: Any) -> bytes | bytearray:
        await asyncio.sleep(1)
        return await read(*arguments)

    monkeypatch.setattr(body, "_content", read_late)
    async with await RawConnection.open(server.port) as connection:
        answer = await connection.request(
            "POST", "/v1/sessions", {**JSON, "Authorization": token}, b"x" * 900_000
        )

        assert answer.status == 400


async def test_the_read_timeout_of_a_body_does_not_apply_to_websockets(
    api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_limits, "BODY_SECONDS", 0.2)
    async with api.user_socket() as phone:
        await asyncio.sleep(0.6)

        assert await phone.call("ping") == {}


async def test_a_websocket_leaves_nothing_of_its_request_to_the_garbage_collector(
    server: RunningServer,
) -> None:
    """What the collector went through was a sixth of the cost of many arrivals at once."""

    def requests() -> int:
        return sum(isinstance(thing, uvicorn_protocol.UvicornProtocol) for thing in gc.get_objects())

    async with ApiClient.signed_in(server.url) as api:
        gc.collect()
        gc.disable()
        try:
            before = requests()
            async with api.user_socket() as socket:
                await socket.call("ping")
                after = requests()
        finally:
            gc.enable()

    assert before == after
