"""Requests as proxies, libraries and browsers really send them."""

import asyncio
import json
import logging
import subprocess
from shutil import which

import pytest

from happy.http.framework import uvicorn_protocol
from happy.telemetry import LimitedLog
from tests.e2e.conftest import Account
from tests.support.official_client import OfficialError
from tests.support.raw_http import RawConnection
from tests.support.server_process import Server
from tests.support.until import until

pytestmark = pytest.mark.asyncio(loop_scope="session")
H2C = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQ"}
JSON = {"Content-Type": "application/json"}


def body(text: str) -> bytes:
    return json.dumps({"messages": [{"content": text, "localId": text}]}).encode()


async def test_a_client_that_offers_http2_lost_what_it_sent(account: Account, server: Server) -> None:
    """Java's client and `curl --http2` do so with every request; the same connection goes on afterwards."""
    session = await account.api.create_session()
    path = f"/v3/sessions/{session['id']}/messages"
    sent = {**H2C, **JSON, "Authorization": f"Bearer {account.api.token}"}
    async with await RawConnection.open(server.port) as connection:
        answers = [await connection.request("POST", path, sent, body(text)) for text in ("one", "two")]
        chunked = {**sent, "Transfer-Encoding": "chunked"}
        three = body("three")
        connection.send("POST", path, chunked, b"%x\r\n%b\r\n" % (len(three), three))
        await asyncio.sleep(0)
        connection.writer.write(b"0\r\n\r\n")
        answers.append(await connection.answer("POST"))

    assert [200, 200, 200] == [answer.status for answer in answers]
    assert ["one", "two", "three"] == [m["localId"] for m in await account.api.messages(session["id"])]


@pytest.mark.skipif(which("curl") is None, reason="NO CURL")
async def test_curl_with_http2_lost_what_it_sent(account: Account, server: Server) -> None:
    session = await account.api.create_session()
    url = f"{server.url}/v3/sessions/{session['id']}/messages"
    headers = ["-H", "Content-Type: application/json", "-H", f"Authorization: Bearer {account.api.token}"]
    command = ["curl", "-s", "--http2", "--max-time", "10", *headers, "-d", body("curl").decode(), url]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)

    assert ["curl"] == [message["localId"] for message in await account.api.messages(session["id"])]


@pytest.mark.parametrize("headers", [{"Cookie": "a=" + "x" * 9000}, {f"X-{n}": "y" for n in range(200)}])
async def test_a_realtime_connection_with_the_cookies_of_other_sites_was_closed_without_a_word(
    account: Account, headers: dict[str, str]
) -> None:
    async with account.user().with_options(extraHeaders=headers) as socket:
        assert {} == await socket.call("ping")


async def test_a_realtime_connection_with_too_large_a_head_is_refused_with_431(
    account: Account, server: Server
) -> None:
    with pytest.raises(OfficialError, match="websocket error"):
        await account.user().with_options(extraHeaders={"Cookie": "x" * 70_000}).connect()

    assert "refused a request whose head is too large" in server.log_text()


@pytest.mark.parametrize("headers", ["", "Host: a\r\nHost: b\r\n"], ids=["no host", "two hosts"])
async def test_a_request_for_no_host_or_for_two_was_answered(server: Server, headers: str) -> None:
    async with await RawConnection.open(server.port) as connection:
        connection.writer.write(f"GET /health HTTP/1.1\r\n{headers}\r\n".encode())
        answer = await connection.answer("GET")

    assert (400, "close") == (answer.status, answer.headers["connection"])


async def test_the_check_of_a_proxy_was_refused(server: Server) -> None:
    """HAProxy asks with OPTIONS and in HTTP/1.0 unless it is told otherwise."""
    async with await RawConnection.open(server.port) as connection:
        connection.writer.write(b"OPTIONS / HTTP/1.0\r\n\r\n")
        head = (await connection.reader.readuntil(b"\r\n\r\n")).decode()

    assert head.startswith("HTTP/1.1 204")


async def test_malformed_requests_filled_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """One line at once, and one a minute that counts the others; neither quotes what was sent."""
    log = LimitedLog(logging.getLogger("test"), "malformed HTTP request", seconds=0.2)
    for _ in range(1000):
        log("HttpParserInvalidMethodError")
    await until(lambda: len(caplog.messages) >= 2)

    assert [
        "malformed HTTP request: HttpParserInvalidMethodError",
        "malformed HTTP request: 999 more within 0 s",
    ] == caplog.messages


async def test_what_was_no_request_was_logged_as_it_came(server: Server) -> None:
    for _ in range(20):
        async with await RawConnection.open(server.port) as connection:
            connection.writer.write(b"SECRET / nonsense\r\n\r\n")
            assert b"400" in await connection.reader.read()

    lines = [line for line in server.log_text().splitlines() if uvicorn_protocol.__name__ in line]
    assert 0 < sum("malformed HTTP request" in line for line in lines) < 3
    assert "SECRET" not in server.log_text()
