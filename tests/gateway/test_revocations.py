"""What leaked is taken back: commands beside the server, and what its clients see.

protocol: http#authentication, realtime#handshake, cryptography#revocation
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator

import pytest
from nacl.signing import SigningKey

from happy.services.pairing import KNOWN_EVERYWHERE
from tests.http.test_accounts import account_id
from tests.http.test_pairing import claims
from tests.support.api_client import ApiClient, b64, sign_in_body
from tests.support.commands import command
from tests.support.environments import Environment
from tests.support.server_thread import RunningServer, run_beside
from tests.support.socket_client import ConnectRefused
from tests.support.until import until

BAD_TOKEN = "Invalid authentication token"


@pytest.fixture
async def beside(environment: Environment) -> AsyncIterator[RunningServer]:
    async with run_beside(environment) as running:
        yield running


async def done(environment: Environment, *arguments: str) -> float:
    """Run the command, and the time at which it was done."""
    ended = await command(environment, *arguments)
    assert (0, "") == (ended.code, ended.err), ended
    return time.monotonic()


def token_id(api: ApiClient) -> str:
    assert api.token is not None
    return str(claims(api.token)["jti"])


async def shut_out(api: ApiClient) -> None:
    """Within a second: HTTP requests and handshakes are refused."""
    refused = await api.request("GET", "/v1/account/profile")
    assert (401, {"error": "Invalid token"}) == (refused.status_code, refused.json())
    with pytest.raises(ConnectRefused, match=BAD_TOKEN):
        await api.user_socket().connect()


async def test_a_revoked_token_is_refused_and_its_socket_closed(
    beside: RunningServer, environment: Environment
) -> None:
    key = SigningKey.generate()
    async with (
        ApiClient.signed_in(beside.url, key=key) as stolen,
        ApiClient.signed_in(beside.url, key=key) as kept,
        stolen.user_socket(happy_client="thief/1.0") as socket,
        kept.user_socket() as other,
    ):

        async def seen() -> bool:
            listed = (await command(environment, "tokens", "list", account_id(kept), "--json")).json
            return token_id(stolen) in [entry["token"]["id"] for entry in listed]

        await until(seen, timeout=60)
        unasked = await command(environment, "tokens", "revoke", token_id(stolen))
        assert (1, "happy-server: nothing was done: add --yes to do it without a prompt\n") == (
            unasked.code,
            unasked.err,
        )
        assert "The token of thief/1.0 (127.0.0.1), last seen" in unasked.out

        await done(environment, "tokens", "revoke", token_id(stolen), "--yes")
        await socket.wait_closed()
        assert not socket.disconnected_by_server
        await shut_out(stolen)
        assert [] == await other.unread()
        await kept.get("/v1/account/profile")
        listed = (await command(environment, "tokens", "list", account_id(kept), "--json")).json
        states = {entry["token"]["id"]: entry["state"] for entry in listed}
        assert "revoked" == states[token_id(stolen)]


async def test_a_sign_out_ends_all_tokens_up_to_now(beside: RunningServer, environment: Environment) -> None:
    key = SigningKey.generate()
    async with (
        ApiClient.signed_in(beside.url, key=key) as api,
        ApiClient.signed_in(beside.url) as stranger,
        api.user_socket() as socket,
        stranger.user_socket() as others,
    ):
        await done(environment, "accounts", "sign-out", account_id(api), "--yes")
        await socket.wait_closed()
        await shut_out(api)

        # At once, within the same second too: it is issued behind the sign-out.
        async with ApiClient.signed_in(beside.url, key=key) as again:
            assert account_id(api) == account_id(again)
            await again.get("/v1/account/profile")
            async with again.user_socket():
                pass
        assert [] == await others.unread()


@pytest.mark.parametrize("act", ["accounts sign-out", "tokens revoke"])
async def test_a_lost_phone_went_on_receiving_push_notifications(
    beside: RunningServer, environment: Environment, act: str
) -> None:
    """With titles and texts of what its owner did since; other phones register again when they are opened."""
    key = SigningKey.generate()
    async with (
        ApiClient.signed_in(beside.url, key=key) as lost,
        ApiClient.signed_in(beside.url) as stranger,
    ):
        for api in (lost, stranger):
            await api.post("/v1/push-tokens", {"token": f"ExponentPushToken[{account_id(api)}]"})

        async def seen() -> bool:
            listed = (await command(environment, "tokens", "list", account_id(lost), "--json")).json
            return token_id(lost) in [entry["token"]["id"] for entry in listed]

        await until(seen, timeout=60)
        named = token_id(lost) if act.startswith("tokens") else account_id(lost)
        asked = await command(environment, *act.split(), named)
        assert "Phones of the account get push notifications again when their app is opened" in asked.out
        await done(environment, *act.split(), named, "--yes")

        async with ApiClient.signed_in(beside.url, key=key) as again:
            assert [] == (await again.get("/v1/push-tokens"))["tokens"]
        assert 1 == len((await stranger.get("/v1/push-tokens"))["tokens"])


@pytest.mark.parametrize("act", ["accounts sign-out", "tokens revoke"])
async def test_a_stolen_token_lived_on_by_a_device_it_had_approved(
    beside: RunningServer, environment: Environment, act: str
) -> None:
    """Whoever had approved a device with it picked up a fresh token after the sign-out."""
    key = SigningKey.generate()
    device = {"publicKey": b64(os.urandom(32))}
    async with ApiClient.signed_in(beside.url, key=key) as stolen, ApiClient(beside.url) as thief:

        async def seen() -> bool:
            listed = (await command(environment, "tokens", "list", account_id(stolen), "--json")).json
            return token_id(stolen) in [entry["token"]["id"] for entry in listed]

        await stolen.get("/v1/account/profile")
        await until(seen, timeout=60)
        await thief.post("/v1/auth/request", device)
        await stolen.post("/v1/auth/response", {**device, "response": "r"})
        named = token_id(stolen) if act.startswith("tokens") else account_id(stolen)
        await done(environment, *act.split(), named, "--yes")

        assert {"state": "requested"} == await thief.post("/v1/auth/request", device)
        async with ApiClient.signed_in(beside.url, key=key) as again:
            await asyncio.sleep(KNOWN_EVERYWHERE / 1000)
            await again.post("/v1/auth/response", {**device, "response": "r"})
        assert "authorized" == (await thief.post("/v1/auth/request", device))["state"]


async def test_a_disabled_account_is_kept_out_until_it_is_enabled(
    beside: RunningServer, environment: Environment
) -> None:
    key = SigningKey.generate()
    async with ApiClient.signed_in(beside.url, key=key) as api, api.user_socket() as socket:
        session = await api.create_session()
        await done(environment, "accounts", "disable", account_id(api), "--yes")
        await socket.wait_closed()
        await shut_out(api)
        refused = await api.post("/v1/auth", sign_in_body(key), expect=403)
        assert {"error": "Account disabled"} == refused
        assert 1 == (await command(environment, "accounts", "disable", account_id(api), "--yes")).code

        await done(environment, "accounts", "enable", account_id(api))

        async def let_in() -> bool:
            return (await api.request("GET", "/v1/account/profile")).status_code == 200

        await until(let_in)
        await api.sign_in(key)
        assert [session["id"]] == [each["id"] for each in (await api.get("/v1/sessions"))["sessions"]]


async def test_a_deleted_account_leaves_nothing_and_its_key_makes_a_new_one(
    beside: RunningServer, environment: Environment
) -> None:
    key = SigningKey.generate()
    async with ApiClient.signed_in(beside.url, key=key) as api, api.user_socket() as socket:
        session = await api.create_session()
        await api.register_machine()
        await api.post_messages(session["id"], ["one", "two"])
        await api.post("/v1/push-tokens", {"token": "ExponentPushToken[x]"})
        shown = await command(environment, "accounts", "delete", account_id(api))
        assert "1 session with 2 messages, 1 machine, 0 artifacts, 0 files." in shown.out

        await done(environment, "accounts", "delete", account_id(api), "--yes")
        await socket.wait_closed()
        await shut_out(api)
        async with ApiClient.signed_in(beside.url, key=key) as again:
            assert account_id(api) != account_id(again)
            assert [] == (await again.get("/v1/sessions"))["sessions"]
            assert [] == await again.get("/v1/machines")

            async def gone() -> bool:
                listed = (await command(environment, "accounts", "list", "--json")).json
                return [account_id(again)] == [record["id"] for record in listed]

            await until(gone, timeout=60)
        await asyncio.sleep(0)
        await shut_out(api)
