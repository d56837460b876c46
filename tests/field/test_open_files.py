"""A server with more clients than the system grants it open files."""

import asyncio
import resource
from pathlib import Path

import httpx
import pytest

from tests.support.api_client import ApiClient
from tests.support.server_process import Server
from tests.support.until import until

FILES = resource.RLIMIT_NOFILE
pytestmark = pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of others are Linux's")


@pytest.mark.slow
async def test_a_server_raises_its_limit_of_open_files(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(FILES)
    server = Server(tmp_path)
    try:
        resource.setrlimit(FILES, (256, hard))
        await server.start()
    finally:
        resource.setrlimit(FILES, (soft, hard))
    assert server.process is not None
    most, _ = resource.prlimit(server.process.pid, FILES)
    server.kill()

    assert most == min(hard, 1 << 20)


async def is_open(reader: asyncio.StreamReader) -> bool:
    """Whether the server has kept the connection; it says nothing by itself."""
    try:
        async with asyncio.timeout(0.3):
            await reader.read(1)
    except TimeoutError:
        return True
    except ConnectionError:
        return False
    return False


def open_files(process: int) -> int:
    return len([*Path(f"/proc/{process}/fd").iterdir()])


async def test_new_connections_are_refused_when_files_run_out_and_old_ones_go_on(own_server: Server) -> None:
    async with ApiClient.signed_in(own_server.url) as old:
        assert own_server.process is not None
        open_now = open_files(own_server.process.pid)
        _, hard = resource.getrlimit(FILES)
        resource.prlimit(own_server.process.pid, FILES, (open_now + 64, hard))
        streams = [await asyncio.open_connection("127.0.0.1", own_server.port) for _ in range(120)]
        kept = await asyncio.gather(*(is_open(reader) for reader, _ in streams))

        assert 0 < sum(kept) < 64
        await old.post("/v1/sessions", {"tag": "t", "metadata": "m"})
        assert 200 == (await old.request("GET", "/health")).status_code
        lines = [line for line in own_server.log_text().splitlines() if "too many files are open" in line]
        assert 1 == len(lines)

        for _, writer in streams:
            writer.close()

    async def is_let_in() -> bool:
        async with ApiClient(own_server.url) as new:
            try:
                return (await new.request("GET", "/health")).status_code == 200
            except httpx.TransportError:
                return False

    await until(is_let_in, what="new connections are let in again")
