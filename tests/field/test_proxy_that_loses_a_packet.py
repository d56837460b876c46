"""Proxies that drop what comes together with the answer to a websocket handshake."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.support.api_client import ApiClient
from tests.support.nodejs import node
from tests.support.official_client import NodeClient
from tests.support.server_process import Server, free_port

pytestmark = pytest.mark.asyncio(loop_scope="session")
SCRIPT = Path(__file__).with_name("losing_proxy.mjs")


@asynccontextmanager
async def losing_proxy(target: int) -> AsyncIterator[str]:
    port = free_port()
    process = subprocess.Popen([node(), str(SCRIPT), str(port), str(target)])  # noqa: ASYNC220 - returns at once
    try:
        async with asyncio.timeout(20), httpx.AsyncClient(trust_env=False, verify=False) as http:
            while True:
                with suppress(httpx.TransportError):
                    await http.get(f"http://127.0.0.1:{port}/health")
                    break
                await asyncio.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


async def test_clients_behind_a_small_proxy_never_connected(own_server: Server, client: NodeClient) -> None:
    """The first is sent its open packet once more; from then on, the packet is sent behind the answer."""
    async with losing_proxy(own_server.port) as url, ApiClient.signed_in(url) as api:
        for _ in range(5):
            async with client.socket(url, token=api.token, clientType="user-scoped") as phone:
                assert {} == await phone.call("ping")

    assert 1 == own_server.log_text().count("drops what is sent with a websocket handshake response")
