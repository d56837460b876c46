"""Lists of large sessions, and clients that do not read them: the server's memory, and what others notice."""

import asyncio
import json
import os
import select
import socket
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
import sqlalchemy as sa

from happy.domain.errors import Unavailable
from happy.http.framework import delivery
from happy.services.sessions import SessionService
from happy.settings import load
from schema.tables import sessions
from tests.support.api_client import ApiClient
from tests.support.environments import Environment
from tests.support.rows import Rows, open_rows
from tests.support.server_process import Server
from tests.support.server_thread import RunningServer, run_server
from tests.support.until import until

pytestmark = pytest.mark.asyncio(loop_scope="session")
MEGABYTE = 2**20
NOW = 1_700_000_000_000
COUNT, SIZE = 30, 6 * MEGABYTE
MEMORY = 120 * MEGABYTE
"""What four lists at once may add to the memory of the server; one has contents of 180 MB."""


async def store_sessions(rows: Rows, account_id: str, count: int, metadata: str) -> None:
    for number in range(count):
        named = {"id": f"session{number:03}", "tag": f"tag{number}", "account_id": account_id}
        times = {"last_active_at": int(time.time() * 1000), "created_at": NOW, "updated_at": NOW + number}
        await rows(sa.insert(sessions).values(**named, **times, metadata=metadata, active=True))


async def account_of(api: ApiClient) -> str:
    profile: dict[str, Any] = await api.get("/v1/account/profile")
    return str(profile["id"])


def memory(server: Server, what: str) -> int:
    """Bytes that the process occupies (`VmRSS`), or has at most until now (`VmHWM`)."""
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith(what))


def request(port: int, token: str | None, path: str = "/v1/sessions", version: str = "1.1") -> socket.socket:
    """A connection on which the request has been sent, of a client that takes little at a time."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    client.settimeout(30)
    client.connect(("127.0.0.1", port))
    head = f"GET {path} HTTP/{version}\r\nHost: here\r\nConnection: close\r\n"
    client.sendall(f"{head}Authorization: Bearer {token}\r\n\r\n".encode())
    return client


def received(client: socket.socket) -> Iterator[bytes]:
    while part := client.recv(MEGABYTE):
        yield part


def body_of(answer: bytes) -> bytes:
    """Of an answer that ends with its connection; raises when a chunked one does not end."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" not in head:
        return body
    chunks: list[bytes] = []
    position = 0
    while True:
        line = body.index(b"\r\n", position)
        size = int(body[position:line], 16)
        if size == 0:
            return b"".join(chunks)
        chunks.append(body[line + 2 : line + 2 + size])
        position = line + 4 + size


async def until_dropped(client: socket.socket) -> None:
    """Until the connection is broken off, without reading from it."""
    poll = select.poll()
    poll.register(client, 0)
    await until(lambda: any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0)))


# -- a server of its own process


@pytest.mark.slow
async def test_a_list_of_large_sessions_took_several_times_its_size_in_memory(own_server: Server) -> None:
    text = b64encode(os.urandom(SIZE * 3 // 4)).decode()
    settings = load({"METRICS_ENABLED": "false", **own_server.variables}, flavor=own_server.flavor)
    async with ApiClient.signed_in(own_server.url) as api, open_rows(settings) as rows:
        await store_sessions(rows, await account_of(api), COUNT, text)
        before = memory(own_server, "VmRSS")
        silent = [await asyncio.to_thread(request, own_server.port, api.token) for _ in range(3)]
        client = await asyncio.to_thread(request, own_server.port, api.token)
        begun = await asyncio.to_thread(client.recv, 4096)
        for _ in range(5):  # others are served while it does not read
            await account_of(api)
        rest = await asyncio.to_thread(lambda: b"".join(received(client)))
        used = memory(own_server, "VmHWM") - before
        for other in (*silent, client):
            other.close()

    listed = json.loads(body_of(begun + rest))["sessions"]
    assert [f"session{number:03}" for number in reversed(range(COUNT))] == [one["id"] for one in listed]
    assert {text} == {one["metadata"] for one in listed}
    assert used < MEMORY


# -- a server in a thread of this process


@pytest_asyncio.fixture(loop_scope="session")
async def fast(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningServer]:
    """A server that has little patience."""
    monkeypatch.setattr(delivery, "STALLED_SECONDS", 0.3)
    with run_server(environment) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def listing(fast: RunningServer) -> AsyncIterator[ApiClient]:
    """A client with five large sessions."""
    async with ApiClient.signed_in(fast.url) as api, open_rows(fast.settings) as rows:
        await store_sessions(rows, await account_of(api), 5, "m" * (2 * MEGABYTE))
        yield api


async def answer_to(server: RunningServer, api: ApiClient, path: str, version: str) -> bytes:
    with closing(await asyncio.to_thread(request, server.port, api.token, path, version)) as client:
        return await asyncio.to_thread(lambda: b"".join(received(client)))


async def test_whoever_did_not_read_was_waited_for_without_end(
    fast: RunningServer, listing: ApiClient
) -> None:
    with closing(await asyncio.to_thread(request, fast.port, listing.token)) as client:
        await until_dropped(client)

    assert await account_of(listing)


async def test_a_slow_client_that_goes_on_reading_gets_everything(
    fast: RunningServer, listing: ApiClient
) -> None:
    def read_slowly(client: socket.socket) -> bytes:
        answer = b""
        while part := client.recv(256 * 1024):
            answer += part
            time.sleep(0.03)
        return answer

    with closing(await asyncio.to_thread(request, fast.port, listing.token)) as client:
        answer = await asyncio.to_thread(read_slowly, client)

    assert 5 == len(json.loads(body_of(answer))["sessions"])


async def test_a_large_list_is_the_same_document_in_every_version_of_http(
    fast: RunningServer, listing: ApiClient
) -> None:
    for path in ("/v1/sessions", "/v2/sessions?limit=3", "/v2/sessions/active"):
        plain, chunked = [await answer_to(fast, listing, path, version) for version in ("1.0", "1.1")]
        assert b"transfer-encoding" not in plain
        assert b"transfer-encoding: chunked" in chunked
        assert body_of(plain) == body_of(chunked)
        document = msgspec.json.encode(json.loads(body_of(plain)))
        assert document == body_of(plain)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_list_that_fails_on_the_way_does_not_look_whole(
    fast: RunningServer, listing: ApiClient, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    get = SessionService.get

    async def failing(self: SessionService, account_id: Any, session_id: Any) -> Any:
        if session_id == "session002":
            raise Unavailable("the database did not answer")
        return await get(self, account_id, session_id)

    monkeypatch.setattr(SessionService, "get", failing)
    with pytest.raises(ConnectionResetError):
        await answer_to(fast, listing, "/v1/sessions", version)
