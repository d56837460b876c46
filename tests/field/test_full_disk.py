"""A disk that takes no more bytes, or none at all, under a running server."""

import resource
from pathlib import Path

import httpx
import pytest

from tests.support.api_client import ApiClient
from tests.support.environments import Environment, light_environment
from tests.support.server_process import Server
from tests.support.small_disk import fill, remount, small_disk

pytestmark = pytest.mark.slow


def limit_files(server: Server, size: int) -> None:
    """No file of the process grows beyond that, nor is written there: to SQLite it is a disk that fails."""
    assert server.process is not None
    hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, hard))


async def status(api: ApiClient, method: str, path: str, **body: str) -> httpx.Response:
    return await api.request(method, path, json=body) if body else await api.request(method, path)


async def test_health_said_ok_while_a_full_disk_took_no_writes(tmp_path: Path) -> None:
    environment = light_environment(tmp_path / "data")
    async with (
        Server(tmp_path / "home", variables=environment.variables) as server,
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


FOLDERS = {"light": "HAPPY_SERVER_LIGHT_DATA_DIR", "full": "DATA_DIR"}
"""Where files are, and the light server's database too."""


@pytest.mark.parametrize("what", ["full", "read-only"])
async def test_health_said_ok_until_a_disk_had_refused_something(
    environment: Environment, tmp_path: Path, what: str
) -> None:
    """A balancer sent every upload to a replica that could not store any."""
    data = tmp_path / "data"
    on_disk = data if what == "full" else data / "files"
    with small_disk(on_disk, 24 * 1024 * 1024):
        variables = {**environment.variables, FOLDERS[environment.flavor]: str(data)}
        async with (
            Server(tmp_path / "home", flavor=environment.flavor, variables=variables) as server,
            ApiClient(server.url) as api,
        ):
            if what == "full":
                with fill(on_disk, leave=1024 * 1024):
                    refused = await status(api, "GET", "/health")
            else:
                remount(on_disk, "ro")
                refused = await status(api, "GET", "/health")
                remount(on_disk, "rw")
            healthy = await status(api, "GET", "/health")

    in_database = environment.flavor == "light" and what == "full"
    error = "Database connectivity failed" if in_database else "File storage failed"
    assert (503, "error", error) == (
        refused.status_code,
        refused.json()["status"],
        refused.json()["error"],
    )
    assert (200, "ok") == (healthy.status_code, healthy.json()["status"])
