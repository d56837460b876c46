"""What the log tells an operator of devices that are being linked."""

import base64
import os

import httpx
import pytest

from tests.e2e.conftest import Account
from tests.support.server_process import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_log_did_not_mention_pairing(account: Account, server: Server) -> None:
    """A line for each step, and none when a device asks again every second. No key is in any of them."""
    key, unknown = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
    before = len(server.log_text())
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, verify=False) as device:
        for _ in range(3):
            await device.post("/v1/auth/request", json={"publicKey": key, "supportsV2": True})
    await account.api.post("/v1/auth/response", {"publicKey": key, "response": "answer"})
    await account.api.post("/v1/auth/response", {"publicKey": unknown, "response": "answer"}, expect=404)
    written = server.log_text()[before:]

    lines = [line.partition("happy.services.pairing ")[2] for line in written.splitlines()]
    expected = [
        "a device asks to be linked: a terminal",
        "a device was linked: a terminal, by account",
        "an approval names a linking request that is not here (made at another server",
    ]
    assert [True] * 3 == [line.startswith(start) for line, start in zip(lines, expected, strict=True)]
    assert key not in written
    assert base64.b64decode(key).hex() not in written.lower()
