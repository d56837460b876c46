"""What a killed server had received of an upload."""

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.support.api_client import ApiClient
from tests.support.environments import Environment
from tests.support.server_process import Server

pytestmark = pytest.mark.slow

FOLDERS = {"light": "HAPPY_SERVER_LIGHT_DATA_DIR", "full": "DATA_DIR"}


async def test_half_an_upload_stayed_on_the_disk_for_a_day_and_an_upload(
    environment: Environment, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    variables = {**environment.variables, FOLDERS[environment.flavor]: str(data)}
    async with (
        Server(tmp_path / "home", flavor=environment.flavor, variables=variables) as server,
        ApiClient.signed_in(server.url) as api,
    ):
        await cut_off(server, api, data)
        assert 1 == len(left(data))

        await server.start()
        assert [] == left(data)


async def cut_off(server: Server, api: ApiClient, data: Path) -> None:
    """The server is killed when some of the upload is on its disk."""
    session = (await api.create_session())["id"]
    path = f"/v1/sessions/{session}/attachments/request-upload"
    offer = await api.post(path, {"filename": "x", "size": 9_000_000})

    async def chunks() -> AsyncIterator[bytes]:
        for number in range(9):
            yield b"x" * 1_000_000
            if number > 1 and left(data):
                server.kill()

    headers = {"content-type": "application/octet-stream", "content-length": "9000000"}
    with suppress(httpx.TransportError):
        await api.request("PUT", offer["uploadUrl"], content=chunks(), headers=headers)
    server.kill()


def left(data: Path) -> list[str]:
    folder = data / "files" / ".incoming"
    return [path.name for path in folder.iterdir()] if folder.exists() else []
