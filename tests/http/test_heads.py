"""Request heads that never end, or never begin."""

import asyncio

import pytest

from happy.http import heads
from tests.http.raw import RawConnection
from tests.http.server import RunningServer

JSON = {"Content-Type": "application/json"}


async def ended(connection: RawConnection) -> bool:
    """Whether the server ends the connection soon, without an answer."""
    try:
        return await asyncio.wait_for(connection.reader.read(), 3) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


async def test_a_head_that_does_not_end_in_time_ends_the_connection(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "HEAD_SECONDS", 0.3)
    async with await RawConnection.open(server.port) as slow:
        slow.writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nX-")

        assert await ended(slow)


async def test_a_head_without_end_ends_the_connection(server: RunningServer) -> None:
    async with await RawConnection.open(server.port) as endless:
        endless.writer.write(b"GET /health HTTP/1.1\r\n")
        for number in range(2_000):
            endless.writer.write(f"X-{number}: {'x' * 100}\r\n".encode())

        assert await ended(endless)


async def test_requests_with_large_heads_and_bodies_are_answered(server: RunningServer) -> None:
    async with await RawConnection.open(server.port) as connection:
        for _ in range(3):
            answer = await connection.request("GET", "/health", {"X-Large": "x" * 30_000})
            assert answer.status == 200
            answer = await connection.request("POST", "/v1/auth/request", JSON, b"x" * 300_000)
            assert answer.status in {400, 413}


async def test_a_slow_body_is_not_a_slow_head(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "HEAD_SECONDS", 0.2)
    async with await RawConnection.open(server.port) as connection:
        connection.send("POST", "/v1/auth/request", {**JSON, "Content-Length": "2"}, b"")
        await asyncio.sleep(0.5)
        connection.writer.write(b"{}")

        assert (await connection.answer("POST")).status == 400
