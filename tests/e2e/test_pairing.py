"""A terminal and a control-plane tool get their token from a signed-in phone.

protocol: cryptography#linking-flows
"""

import base64
import json
import os

import pytest
from nacl.public import Box, PrivateKey, PublicKey
from nacl.signing import SigningKey

from tests.e2e.conftest import Account
from tests.support.api_client import ApiClient, b64
from tests.support.server_process import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Device:
    """What asks to be linked: a terminal, or a control-plane tool."""

    def __init__(self, api: ApiClient) -> None:
        self.api = api
        self.key = PrivateKey.generate()
        self.public_key = b64(bytes(self.key.public_key))

    def decrypt(self, response: str) -> bytes:
        """32 bytes of the phone's ephemeral key, 24 of nonce, the box."""
        raw = base64.b64decode(response)
        return Box(self.key, PublicKey(raw[:32])).decrypt(raw[56:], raw[32:56])


def boxed(secret: bytes, public_key: str) -> str:
    """The phone's answer, encrypted to the device."""
    ephemeral = PrivateKey.generate()
    box = Box(ephemeral, PublicKey(base64.b64decode(public_key)))
    return b64(bytes(ephemeral.public_key) + box.encrypt(secret))


def claims(token: str) -> dict[str, str]:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


@pytest.mark.parametrize("supports_v2", [True, False])
async def test_a_terminal_is_linked_by_the_phone_that_scans_its_code(
    server: Server, account: Account, supports_v2: bool
) -> None:
    async with ApiClient(server.url) as api:
        terminal = Device(api)
        asking = {"publicKey": terminal.public_key, "supportsV2": supports_v2}
        unknown = await api.get("/v1/auth/request/status", publicKey=terminal.public_key)
        first = await api.post("/v1/auth/request", asking)
        pending = await account.api.get("/v1/auth/request/status", publicKey=terminal.public_key)
        secret = b"\0" + os.urandom(32) if pending["supportsV2"] else os.urandom(32)
        response = boxed(secret, terminal.public_key)
        body = {"response": response, "publicKey": terminal.public_key}
        approved = await account.api.post("/v1/auth/response", body)
        answered = await account.api.get("/v1/auth/request/status", publicKey=terminal.public_key)
        linked = await api.post("/v1/auth/request", asking)

        assert unknown == {"status": "not_found", "supportsV2": False}
        assert first == {"state": "requested"}
        assert pending == {"status": "pending", "supportsV2": supports_v2}
        assert approved == {"success": True}
        assert answered == {"status": "authorized", "supportsV2": False}
        assert linked["state"] == "authorized"
        assert terminal.decrypt(linked["response"]) == secret


async def test_the_token_of_a_terminal_opens_the_phones_account(server: Server, account: Account) -> None:
    async with ApiClient(server.url) as api:
        terminal = Device(api)
        await api.post("/v1/auth/request", {"publicKey": terminal.public_key, "supportsV2": True})
        body = {
            "response": boxed(b"\0" + os.urandom(32), terminal.public_key),
            "publicKey": terminal.public_key,
        }
        await account.api.post("/v1/auth/response", body)
        linked = await api.post("/v1/auth/request", {"publicKey": terminal.public_key, "supportsV2": True})
        api.token = linked["token"]
        async with account.user() as phone:
            session = await api.create_session()
            seen = await phone.next_update("new-session")

        assert claims(linked["token"])["sub"] == claims(account.api.token or "")["sub"]
        assert "session" in claims(linked["token"])
        assert seen["id"] == session["id"]


async def test_a_lost_answer_can_be_picked_up_again(server: Server, account: Account) -> None:
    async with ApiClient(server.url) as api:
        terminal = Device(api)
        await api.post("/v1/auth/request", {"publicKey": terminal.public_key})
        body = {"response": boxed(os.urandom(32), terminal.public_key), "publicKey": terminal.public_key}
        await account.api.post("/v1/auth/response", body)
        first = await api.post("/v1/auth/request", {"publicKey": terminal.public_key})
        second = await api.post("/v1/auth/request", {"publicKey": terminal.public_key})

        assert first["state"] == second["state"] == "authorized"
        assert first["response"] == second["response"]


async def test_the_first_approval_wins(server: Server, account: Account, stranger: Account) -> None:
    async with ApiClient(server.url) as api:
        terminal = Device(api)
        await api.post("/v1/auth/request", {"publicKey": terminal.public_key})
        mine = {"response": boxed(b"m" * 32, terminal.public_key), "publicKey": terminal.public_key}
        theirs = {"response": boxed(b"t" * 32, terminal.public_key), "publicKey": terminal.public_key}
        await account.api.post("/v1/auth/response", mine)
        again = await account.api.post("/v1/auth/response", theirs)
        late = await stranger.api.request("POST", "/v1/auth/response", json=theirs)
        linked = await api.post("/v1/auth/request", {"publicKey": terminal.public_key})

        assert again == {"success": True}
        assert late.status_code in {200, 409}  # the second account must not win; telling it so is allowed
        assert terminal.decrypt(linked["response"]) == b"m" * 32
        assert claims(linked["token"])["sub"] == claims(account.api.token or "")["sub"]


async def test_a_control_plane_tool_is_linked_to_the_account(server: Server, account: Account) -> None:
    async with ApiClient(server.url) as api:
        tool = Device(api)
        secret = os.urandom(32)
        first = await api.post("/v1/auth/account/request", {"publicKey": tool.public_key})
        body = {"response": boxed(secret, tool.public_key), "publicKey": tool.public_key}
        approved = await account.api.post("/v1/auth/account/response", body)
        linked = await api.post("/v1/auth/account/request", {"publicKey": tool.public_key})

        assert (first, approved) == ({"state": "requested"}, {"success": True})
        assert linked["state"] == "authorized"
        assert tool.decrypt(linked["response"]) == secret
        assert claims(linked["token"])["sub"] == claims(account.api.token or "")["sub"]
        assert "session" not in claims(linked["token"])


async def test_signing_in_again_with_the_same_key_is_the_same_account(server: Server) -> None:
    key = SigningKey.generate()
    async with (
        ApiClient.signed_in(server.url, key=key) as one,
        ApiClient.signed_in(server.url, key=key) as two,
    ):
        session = await one.create_session()
        listed = await two.get("/v1/sessions")

        assert [found["id"] for found in listed["sessions"]] == [session["id"]]
