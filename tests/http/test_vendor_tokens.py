"""Vendor tokens (protocol: http#vendor-tokens)."""

from typing import Any

import pytest
import sqlalchemy as sa

from happy.crypto import derive
from schema.tables import service_account_tokens
from tests.support.api_client import ApiClient
from tests.support.environments import SECRET
from tests.support.rows import Rows

VENDORS = ["openai", "anthropic", "gemini"]
TOKEN = '{"access_token":"sk-tëst ☃"}'


async def register(api: ApiClient, vendor: str, token: str) -> Any:
    return await api.post(f"/v1/connect/{vendor}/register", {"token": token, "unknown": 1})


async def token_of(api: ApiClient, vendor: str) -> Any:
    return await api.get(f"/v1/connect/{vendor}/token")


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("token", [TOKEN, "", "plain", "x" * 100_000])
async def test_a_token_comes_back_as_it_was_given(api: ApiClient, vendor: str, token: str) -> None:
    assert {"success": True} == await register(api, vendor, token)
    assert {"token": token} == await token_of(api, vendor)


async def test_a_vendor_without_a_token_has_none(api: ApiClient) -> None:
    assert {"token": None} == await token_of(api, "openai")
    assert {"tokens": []} == await api.get("/v1/connect/tokens")


async def test_a_later_token_replaces_the_earlier(api: ApiClient) -> None:
    await register(api, "openai", "old")
    await register(api, "openai", "new")

    assert {"tokens": [{"vendor": "openai", "token": "new"}]} == await api.get("/v1/connect/tokens")


async def test_all_tokens_are_listed_and_the_profile_names_the_vendors(
    api: ApiClient, stranger: ApiClient
) -> None:
    for vendor in ("gemini", "openai"):
        await register(api, vendor, f"token of {vendor}")
    await register(stranger, "anthropic", "of somebody else")

    assert [
        {"vendor": "gemini", "token": "token of gemini"},
        {"vendor": "openai", "token": "token of openai"},
    ] == (await api.get("/v1/connect/tokens"))["tokens"]
    assert ["gemini", "openai"] == (await api.get("/v1/account/profile"))["connectedServices"]


async def test_a_token_is_deleted_whether_or_not_it_was_there(api: ApiClient, stranger: ApiClient) -> None:
    await register(api, "openai", "mine")
    await register(stranger, "openai", "theirs")

    assert {"success": True} == await api.delete("/v1/connect/openai")
    assert {"success": True} == await api.delete("/v1/connect/openai")
    assert {"token": None} == await token_of(api, "openai")
    assert {"token": "theirs"} == await token_of(stranger, "openai")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/connect/{}/register"),
        ("GET", "/v1/connect/{}/token"),
        ("DELETE", "/v1/connect/{}"),
    ],
)
@pytest.mark.parametrize("vendor", ["OpenAI", "mistral", "tokens", "a" * 100])
async def test_an_unknown_vendor_is_refused(api: ApiClient, method: str, path: str, vendor: str) -> None:
    response = await api.request(
        method, path.format(vendor), json={"token": "t"} if method == "POST" else None
    )

    assert 400 == response.status_code
    assert {
        "error": "Error",
        "message": 'params/vendor Invalid option: expected one of "openai"|"anthropic"|"gemini"',
        "statusCode": 400,
    } == response.json()


@pytest.mark.parametrize("body", [{}, {"token": None}, {"token": 1}, {"token": {"access_token": "x"}}, []])
async def test_a_token_is_a_text(api: ApiClient, body: Any) -> None:
    response = await api.request("POST", "/v1/connect/openai/register", json=body)

    assert 400 == response.status_code
    assert "Error" == response.json()["error"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/connect/openai/register"),
        ("GET", "/v1/connect/openai/token"),
        ("DELETE", "/v1/connect/openai"),
        ("GET", "/v1/connect/tokens"),
    ],
)
async def test_strangers_are_refused(anonymous: ApiClient, method: str, path: str) -> None:
    assert 401 == (await anonymous.request(method, path)).status_code


async def test_what_is_stored_is_sealed_for_this_account_and_vendor(api: ApiClient, rows: Rows) -> None:
    account_id = (await api.get("/v1/account/profile"))["id"]
    await register(api, "anthropic", TOKEN)
    stored = service_account_tokens.c
    ((sealed,),) = await rows(sa.select(stored.token).where(stored.account_id == account_id))

    assert b"sk-" not in sealed
    path = ("user", account_id, "vendors", "anthropic", "token")
    assert TOKEN == derive(SECRET).at_rest.unseal(path, sealed)


async def test_a_token_sealed_with_another_secret_is_none_and_hides_no_other(
    api: ApiClient, rows: Rows
) -> None:
    account_id = (await api.get("/v1/account/profile"))["id"]
    await register(api, "openai", "token")
    mine = service_account_tokens.c.account_id == account_id
    await rows(sa.update(service_account_tokens).where(mine).values(token=bytes(60)))
    await register(api, "gemini", "readable")

    assert {"token": None} == await token_of(api, "openai")
    assert {"tokens": [{"vendor": "gemini", "token": "readable"}]} == await api.get("/v1/connect/tokens")
    await register(api, "openai", "anew")
    assert {"token": "anew"} == await token_of(api, "openai")


async def test_vendor_tokens_emit_no_event(api: ApiClient) -> None:
    async with api.user_socket() as socket:
        await register(api, "openai", "token")
        await api.delete("/v1/connect/openai")

        assert [] == await socket.unread()
