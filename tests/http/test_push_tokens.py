"""Push tokens (protocol: http#push)."""

from typing import Any

import pytest
import sqlalchemy as sa

from schema.tables import push_tokens
from tests.support.api_client import ApiClient
from tests.support.rows import Rows

PATH = "/v1/push-tokens"


async def listed(api: ApiClient) -> list[str]:
    return [entry["token"] for entry in (await api.get(PATH))["tokens"]]


async def test_a_registered_token_is_listed_with_every_field(api: ApiClient) -> None:
    assert {"tokens": []} == await api.get(PATH)

    assert {"success": True} == await api.post(PATH, {"token": "ExponentPushToken[x]"})

    (entry,) = (await api.get(PATH))["tokens"]
    assert {"id", "token", "createdAt", "updatedAt"} == set(entry)
    assert ("ExponentPushToken[x]", True) == (entry["token"], entry["createdAt"] == entry["updatedAt"])


async def test_registering_again_makes_no_second_entry_and_keeps_the_first_date(api: ApiClient) -> None:
    await api.post(PATH, {"token": "t"})
    (first,) = (await api.get(PATH))["tokens"]

    await api.post(PATH, {"token": "t"})

    (second,) = (await api.get(PATH))["tokens"]
    assert (first["id"], first["createdAt"]) == (second["id"], second["createdAt"])
    assert first["updatedAt"] <= second["updatedAt"]


async def test_the_newest_token_comes_first(api: ApiClient, rows: Rows) -> None:
    for number, token in enumerate(("new", "old", "middle")):
        await api.post(PATH, {"token": token})
        registered = push_tokens.c.id == (await api.get(PATH))["tokens"][0]["id"]
        await rows(sa.update(push_tokens).where(registered).values(created_at=[3, 1, 2][number]))

    assert ["new", "middle", "old"] == await listed(api)


async def test_a_token_is_dropped_and_dropping_it_again_is_fine(api: ApiClient) -> None:
    token = "ExponentPushToken[a/b ü]"
    await api.post(PATH, {"token": token})
    await api.post(PATH, {"token": "other"})

    for _ in range(2):
        assert {"success": True} == await api.delete(f"{PATH}/ExponentPushToken%5Ba%2Fb%20%C3%BC%5D")

    assert ["other"] == await listed(api)


async def test_nobody_drops_or_sees_the_tokens_of_others(api: ApiClient, stranger: ApiClient) -> None:
    await api.post(PATH, {"token": "mine"})

    assert {"success": True} == await stranger.delete(f"{PATH}/mine")

    assert ([], ["mine"]) == (await listed(stranger), await listed(api))


@pytest.mark.parametrize("body", [{}, {"token": None}, {"token": 5}])
async def test_a_token_is_a_text(api: ApiClient, body: dict[str, Any]) -> None:
    await api.post(PATH, body, expect=400)


async def test_an_account_had_as_many_devices_as_it_liked(
    api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every notification went to all of them."""
    monkeypatch.setattr("happy.services.accounts.MAX_PUSH_TOKENS", 3)
    for token in ("a", "b", "c", "a", "d"):
        await api.post(PATH, {"token": token})

    assert {"a", "c", "d"} == set(await listed(api))
