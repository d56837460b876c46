"""Profile and settings (protocol: http#account-and-usage)."""

import asyncio
import json
import time
from typing import Any

import pytest
import sqlalchemy as sa

from schema.tables import accounts, service_account_tokens
from tests.http.test_pairing import claims
from tests.support.api_client import ApiClient
from tests.support.rows import Rows
from tests.support.server_thread import RunningServer

SETTINGS = "/v1/account/settings"


def account_id(api: ApiClient) -> str:
    assert api.token is not None
    return str(claims(api.token)["sub"])


async def test_a_new_account_has_an_empty_profile(api: ApiClient) -> None:
    before = time.time_ns() // 1_000_000

    profile = await api.get("/v1/account/profile")

    assert before <= profile.pop("timestamp")
    expected: dict[str, Any] = {
        "id": account_id(api),
        "firstName": None,
        "lastName": None,
        "username": None,
        "avatar": None,
        "github": None,
        "connectedServices": [],
    }
    assert expected == profile


async def test_a_profile_shows_names_avatar_with_its_address_and_connected_services(
    server: RunningServer, api: ApiClient, rows: Rows
) -> None:
    mine = account_id(api)
    avatar = {"path": "public/users/x/a b.jpg", "width": 1, "height": 2, "thumbhash": "t"}
    names = {"first_name": "Ada", "last_name": "Lovelace", "username": f"ada {mine}"}
    described = sa.update(accounts).where(accounts.c.id == mine)
    await rows(described.values(**names, avatar=json.dumps(avatar)))
    for position, vendor in enumerate(["openai", "anthropic"]):
        moments = {"created_at": position, "updated_at": position}
        token = {"id": f"{position}{mine}", "account_id": mine, "vendor": vendor, "token": b"\0", **moments}
        await rows(sa.insert(service_account_tokens).values(token))

    profile = await api.get("/v1/account/profile")

    url = f"http://localhost:{server.settings.port}/files/public/users/x/a%20b.jpg"
    assert {**avatar, "url": url} == profile["avatar"]
    assert ("Ada", "Lovelace", f"ada {mine}") == (
        profile["firstName"],
        profile["lastName"],
        profile["username"],
    )
    assert ["openai", "anthropic"] == profile["connectedServices"]


async def test_new_settings_are_empty_at_version_0(api: ApiClient) -> None:
    assert {"settings": None, "settingsVersion": 0} == await api.get(SETTINGS)


async def test_settings_are_replaced_when_the_version_is_right(api: ApiClient) -> None:
    async with api.user_socket() as socket:
        answer = await api.post(SETTINGS, {"settings": "one", "expectedVersion": 0})

        assert {"success": True, "version": 1} == answer
        update = await socket.next_update("update-account")
        assert {"value": "one", "version": 1} == update["settings"]
        assert account_id(api) == update["id"]
    assert {"settings": "one", "settingsVersion": 1} == await api.get(SETTINGS)


@pytest.mark.parametrize("expected", [0, 2, 2**31 - 2])
async def test_a_wrong_version_is_answered_with_what_is_stored(api: ApiClient, expected: int) -> None:
    await api.post(SETTINGS, {"settings": "one", "expectedVersion": 0})

    answer = await api.post(SETTINGS, {"settings": "two", "expectedVersion": expected})

    assert {
        "success": False,
        "error": "version-mismatch",
        "currentVersion": 1,
        "currentSettings": "one",
    } == answer
    assert {"settings": "one", "settingsVersion": 1} == await api.get(SETTINGS)


@pytest.mark.parametrize("value", ["", None])
async def test_settings_may_be_empty_or_removed(api: ApiClient, value: str | None) -> None:
    """06 C21: empty settings became null."""
    await api.post(SETTINGS, {"settings": "one", "expectedVersion": 0})
    await api.post(SETTINGS, {"settings": value, "expectedVersion": 1})

    assert {"settings": value, "settingsVersion": 2} == await api.get(SETTINGS)
    lost = await api.post(SETTINGS, {"settings": "x", "expectedVersion": 1})
    assert (2, value) == (lost["currentVersion"], lost["currentSettings"])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"settings": "x"},
        {"expectedVersion": 0},
        {"settings": 5, "expectedVersion": 0},
        {"settings": "x", "expectedVersion": -1},
        {"settings": "x", "expectedVersion": "0"},
        {"settings": "x", "expectedVersion": 0.5},
        {"settings": "x", "expectedVersion": None},
        {"settings": "x", "expectedVersion": 2**31 - 1},
    ],
)
async def test_settings_need_a_text_or_null_and_a_version(api: ApiClient, body: dict[str, Any]) -> None:
    await api.post(SETTINGS, body, expect=400)


async def test_of_16_writers_exactly_one_wins_each_version(server: RunningServer, api: ApiClient) -> None:
    async def write(writer: int) -> list[int]:
        won = []
        async with ApiClient(server.url, token=api.token) as client:
            version = 0
            while version < 12:
                body = {"settings": f"{writer}:{version + 1}", "expectedVersion": version}
                answer = await client.post(SETTINGS, body)
                version = answer["version"] if answer["success"] else answer["currentVersion"]
                if answer["success"]:
                    won.append(version)
        return won

    async with asyncio.timeout(60):
        wins = await asyncio.gather(*map(write, range(16)))

    stored = await api.get(SETTINGS)
    assert list(range(1, stored["settingsVersion"] + 1)) == sorted(version for won in wins for version in won)
    writer, version = map(int, stored["settings"].split(":"))
    assert version == stored["settingsVersion"] == wins[writer][-1]
