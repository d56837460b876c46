"""Pipelined requests, trailers, tiny chunks, slow bodies, and bodies of requests that were answered."""

import asyncio
import contextlib
from collections import Counter

import pytest

from happy.http.framework import request_limits
from happy.http.framework.sequential_http import SequentialHttp
from happy.http.framework.uvicorn_protocol import UvicornProtocol
from happy.services.refusals import RefusalKind, Refusals
from tests.support.api_client import ApiClient
from tests.support.raw_http import RawConnection
from tests.support.server_thread import RunningServer
from tests.support.until import until

JSON = {"Content-Type": "application/json"}
CHUNKED = {**JSON, "Transfer-Encoding": "chunked"}
MANY = 400


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What is counted meanwhile by the server, which is in this process."""
    counts: Counter[str] = Counter()

    def count(_: Refusals, kind: RefusalKind, address: str = "") -> None:
        counts[kind.value] += 1
        assert address == "127.0.0.1"

    monkeypatch.setattr(Refusals, "__call__", count)
    return counts


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


async def test_pipelined_requests_are_answered_one_after_the_other(server: RunningServer) -> None:
    async with await RawConnection.open(server.port) as connection:
        for number in range(MANY):
            body = b'{"publicKey":"' + b"x" * (number % 7) * 1000 + b'"}'
            connection.send("POST", "/v1/auth/request", JSON, body)
            connection.send("GET", f"/no-such-path-{number}")
        for number in range(MANY):
            assert (await connection.answer("POST")).status == 401
            assert (await connection.answer("GET")).json()["path"] == f"/no-such-path-{number}"
        assert SequentialHttp.held.bytes == 0


@pytest.mark.slow
async def test_pipelined_requests_are_not_read_while_one_is_handled(server: RunningServer) -> None:
    """A poll that waits is handled for up to a minute."""
    head = "/v1/updates/?EIO=4&transport=polling"
    async with await RawConnection.open(server.port) as connection:
        opened = await connection.request("GET", head)
        sid = opened.body.partition(b'"sid":"')[2].partition(b'"')[0].decode()
        connection.send("GET", f"{head}&sid={sid}")
        connection.writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 1_000_000)
        await until(lambda: SequentialHttp.held.bytes > 0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.writer.drain(), 0.3)

        assert SequentialHttp.held.bytes < 1_000_000
        connection.writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await connection.writer.wait_closed()
    await until(lambda: SequentialHttp.held.bytes == 0)


async def test_a_connection_that_holds_too_much_is_closed(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, refused: dict[str, int]
) -> None:
    monkeypatch.setattr(request_limits, "MAX_HELD", 10_000)
    async with await RawConnection.open(server.port) as connection:
        for _ in range(2000):
            connection.send("GET", "/health")
        with contextlib.suppress(ConnectionError):
            await connection.reader.read()
    assert refused == {"pipelined_requests": 1}


async def test_trailers_are_dropped(server: RunningServer, api: ApiClient) -> None:
    """They became headers of the request, after it had been authenticated."""
    async with await RawConnection.open(server.port) as connection:
        for _ in range(2):
            trailer = f"Authorization: Bearer {api.token}\r\n\r\n".encode()
            connection.send("POST", "/v1/sessions", CHUNKED, chunk(b"{}") + b"0\r\n" + trailer)

            assert (await connection.answer("POST")).status == 401


@pytest.mark.parametrize(
    "endless",
    [
        pytest.param(b"0\r\n" + b"x: y\r\n" * 10_000, id="trailers"),
        pytest.param(b"0\r\nx: " + b"y" * 60_000, id="a trailer"),
        pytest.param(b"1;" + b"x" * 60_000, id="an extension"),
        pytest.param(chunk(b" ") * 40_000, id="chunks of a byte"),
    ],
)
async def test_framing_without_end_is_refused(
    server: RunningServer, api: ApiClient, endless: bytes, refused: dict[str, int]
) -> None:
    async with await RawConnection.open(server.port) as connection:
        connection.send("POST", "/v1/sessions", {**CHUNKED, "Authorization": f"Bearer {api.token}"}, b"")
        connection.writer.write(chunk(b"{}"))
        await connection.writer.drain()
        connection.writer.write(endless)
        answer = await connection.answer("POST")

        assert (400, "close") == (answer.status, answer.headers["connection"])
        assert b"" == await connection.reader.read()
    assert refused == {"chunks": 1}


async def test_a_body_may_come_in_small_chunks(server: RunningServer, api: ApiClient) -> None:
    text = b'{"tag":"t","metadata":"' + b"x" * 200_000 + b'"}'
    pieces = [text[start : start + 20] for start in range(0, len(text), 20)]
    async with await RawConnection.open(server.port) as connection:
        connection.send("POST", "/v1/sessions", {**CHUNKED, "Authorization": f"Bearer {api.token}"}, b"")
        connection.writer.write(b"".join(map(chunk, pieces)) + b"0\r\n\r\n")

        assert (await connection.answer("POST")).status == 200


async def test_many_small_chunks_are_parsed_in_parts(
    server: RunningServer, api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of one read, 256 KB, took 25 ms."""
    parsed = [0]  # in each iteration of the event loop
    on_body = UvicornProtocol.on_body

    def count(protocol: UvicornProtocol, body: bytes) -> None:
        if not parsed[-1]:
            protocol.loop.call_soon(parsed.append, 0)
        parsed[-1] += 1
        on_body(protocol, body)

    monkeypatch.setattr(UvicornProtocol, "on_body", count)
    start, end = b'{"tag":"t","metadata":"', b'"}'
    async with await RawConnection.open(server.port) as connection:
        connection.send("POST", "/v1/sessions", {**CHUNKED, "Authorization": f"Bearer {api.token}"}, b"")
        connection.writer.write(chunk(start) + chunk(b"x" * 6) * 80_000 + chunk(end) + b"0\r\n\r\n")

        assert (await connection.answer("POST")).status == 200
    assert max(parsed) < 3 * request_limits.CHUNKS_AT_ONCE
    assert SequentialHttp.held.bytes == 0


@pytest.mark.parametrize("headers", [{**JSON, "Content-Length": "50000000"}, CHUNKED])
async def test_a_long_body_is_not_read_when_its_request_has_been_answered(
    server: RunningServer, headers: dict[str, str], refused: dict[str, int]
) -> None:
    async with await RawConnection.open(server.port) as connection:
        connection.send("POST", "/v1/sessions", headers, b"")
        answer = await connection.answer("POST")
        assert (401, "close") == (answer.status, answer.headers["connection"])
        assert "keep-alive" not in answer.headers

        connection.writer.write(b"x" * 1000)
        with contextlib.suppress(ConnectionError):
            assert await connection.reader.read() == b""
    assert refused == {"unread_bodies": 1}


async def test_the_rest_of_a_short_body_is_read_and_the_connection_kept(server: RunningServer) -> None:
    async with await RawConnection.open(server.port) as connection:
        for _ in range(2):
            connection.send("POST", "/v1/sessions", {**JSON, "Content-Length": "1000"}, b"")
            answer = await connection.answer("POST")
            assert (401, "keep-alive") == (answer.status, answer.headers["connection"])
            connection.writer.write(b"x" * 1000)


async def test_a_body_that_trickles_closes_the_connection(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, refused: dict[str, int]
) -> None:
    """One byte a minute held a connection for ever."""
    monkeypatch.setattr(request_limits, "SLOW_BODY_SECONDS", 0.4)
    monkeypatch.setattr(request_limits, "BODY_SECONDS", 0.8)
    async with await RawConnection.open(server.port) as slow:
        slow.send("POST", "/v1/auth/request", {**JSON, "Content-Length": "2000"}, b"")

        async def trickle() -> None:
            while True:
                slow.writer.write(b" ")
                await asyncio.sleep(0.1)

        trickling = asyncio.create_task(trickle())
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(slow.answer("POST"), 10)
        trickling.cancel()
    assert refused == {"slow_requests": 1}


async def test_a_body_of_one_kilobyte_a_second_is_fast_enough(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_limits, "SLOW_BODY_SECONDS", 0.1)
    monkeypatch.setattr(request_limits, "BODY_SECONDS", 2.0)
    async with await RawConnection.open(server.port) as connection:
        connection.send("POST", "/v1/auth/request", {**JSON, "Content-Length": "10000"}, b"")
        for _ in range(10):
            connection.writer.write(b" " * 1000)
            await asyncio.sleep(0.15)

        assert (await connection.answer("POST")).status == 400
