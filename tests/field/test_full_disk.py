"""A disk that takes no more bytes under a running light server."""

import resource
from pathlib import Path

import httpx

from tests.e2e.server import Server
from tests.support.api_client import ApiClient
from tests.support.environments import light_place


def limit_files(server: Server, size: int) -> None:
    """No file of the process grows beyond that, nor is written there: to SQLite it is a disk that fails."""
    assert server.process is not None
    hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, hard))


async def status(api: ApiClient, method: str, path: str, **body: str) -> httpx.Response:
    return await api.request(method, path, json=body) if body else await api.request(method, path)


async def test_health_said_ok_while_a_full_disk_took_no_writes(tmp_path: Path) -> None:
    place = light_place(tmp_path / "data")
    async with (
        Server(tmp_path / "home", variables=place.variables) as server,
        ApiClient.signed_in(server.url) as api,
    ):
        limit_files(server, 1)
        refused = await status(api, "POST", "/v1/sessions", tag="t", metadata="m")
        assert (503, "1") == (refused.status_code, refused.headers["retry-after"])
        assert 503 == (await status(api, "GET", "/health")).status_code
        assert 200 == (await status(api, "GET", "/v1/sessions")).status_code

        limit_files(server, resource.RLIM_INFINITY)
        assert 200 == (await status(api, "GET", "/health")).status_code
        assert 200 == (await status(api, "POST", "/v1/sessions", tag="t", metadata="m")).status_code
