"""The feed: pages, cursors, and the notices in it (protocol: http#notices, http#get-v1feed)."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from happy import bootstrap
from happy.adapters import clocks
from happy.domain.values import Millis
from tests.support.api_client import ApiClient
from tests.support.environments import Environment
from tests.support.server_thread import RunningServer, run_server

DAY = 24 * 60 * 60 * 1000


async def id_of(api: ApiClient) -> str:
    return str((await api.get("/v1/account/profile"))["id"])


async def move(api: ApiClient, verb: str, uid: str) -> None:
    assert (await api.post(f"/v1/friends/{verb}", {"uid": uid}))["user"] is not None


async def feed(api: ApiClient, **query: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await api.get("/v1/feed", **query))["items"]
    return items


def cursors(page: dict[str, Any]) -> list[str]:
    return [item["cursor"] for item in page["items"]]


@pytest.fixture
async def asked(server: RunningServer, api: ApiClient) -> list[str]:
    """Seven accounts that have asked this one, in that order."""
    me = await id_of(api)
    askers = []
    for _ in range(7):
        async with ApiClient.signed_in(server.url) as other:
            askers.append(await id_of(other))
            await move(other, "add", me)
    return askers


async def test_a_new_feed_is_empty(api: ApiClient) -> None:
    assert {"items": [], "hasMore": False} == await api.get("/v1/feed")


async def test_a_post_has_every_field(api: ApiClient, stranger: ApiClient) -> None:
    me, you = await id_of(api), await id_of(stranger)
    await move(stranger, "add", me)
    (item,) = await feed(api, limit=100)
    item_id, created_at = item.pop("id"), item.pop("createdAt")

    assert 25 == len(item_id)
    assert isinstance(created_at, int)
    assert {
        "body": {"kind": "friend_request", "uid": you},
        "repeatKey": f"friend_request_{you}",
        "cursor": "0-1",
    } == item


async def test_the_newest_comes_first(api: ApiClient, asked: list[str]) -> None:
    page = await api.get("/v1/feed")

    assert asked[::-1] == [item["body"]["uid"] for item in page["items"]]
    assert [f"0-{number}" for number in range(7, 0, -1)] == cursors(page)
    assert page["hasMore"] is False


async def test_pages_backward_to_the_end(api: ApiClient, asked: list[str]) -> None:
    page = await api.get("/v1/feed", limit=3)
    pages = [cursors(page)]
    while page["hasMore"]:
        page = await api.get("/v1/feed", limit=3, before=pages[-1][-1])
        pages.append(cursors(page))

    assert [["0-7", "0-6", "0-5"], ["0-4", "0-3", "0-2"], ["0-1"]] == pages
    assert {"items": [], "hasMore": False} == await api.get("/v1/feed", before="0-1")


async def test_a_page_that_ends_exactly_has_no_more(api: ApiClient, asked: list[str]) -> None:
    assert (await api.get("/v1/feed", limit=7))["hasMore"] is False
    assert (await api.get("/v1/feed", limit=6))["hasMore"] is True


async def test_after_answers_the_newest_too(api: ApiClient, asked: list[str]) -> None:
    page = await api.get("/v1/feed", after="0-3", limit=2)

    assert (["0-7", "0-6"], True) == (cursors(page), page["hasMore"])
    assert ["0-7"] == cursors(await api.get("/v1/feed", after="0-6"))
    assert {"items": [], "hasMore": False} == await api.get("/v1/feed", after="0-7")


async def test_before_wins_over_after(api: ApiClient, asked: list[str]) -> None:
    assert ["0-2", "0-1"] == cursors(await api.get("/v1/feed", before="0-3", after="0-5"))


async def test_a_cursor_beyond_everything_is_fine(api: ApiClient, asked: list[str]) -> None:
    assert 7 == len(await feed(api, before="0-99999999999999999999999"))
    assert [] == await feed(api, after="0-99999999999999999999999")
    assert [] == await feed(api, before="0-0")


@pytest.mark.parametrize("name", ["before", "after"])
@pytest.mark.parametrize("cursor", ["", "0-", "5", "1-5", "0-x", "0--1", "0-1.5", "-", "0-1\0"])
async def test_what_is_no_cursor_is_refused(api: ApiClient, name: str, cursor: str) -> None:
    answer = await api.request("GET", "/v1/feed", params={name: cursor})

    assert 400 == answer.status_code


@pytest.mark.parametrize("limit", ["0", "201", "-1", "1.5", "x", ""])
async def test_a_limit_out_of_range_is_refused(api: ApiClient, limit: str) -> None:
    assert "Error" == (await api.get("/v1/feed", limit=limit, expect=400))["error"]


@pytest.mark.parametrize("limit", ["1", "200", " 7 ", "0x10", "1e1"])
async def test_a_limit_in_range_is_read_as_clients_write_it(api: ApiClient, limit: str) -> None:
    assert [] == await feed(api, limit=limit)


async def test_a_feed_needs_a_token(anonymous: ApiClient) -> None:
    assert {"error": "Missing authorization header"} == await anonymous.get("/v1/feed", expect=401)


# Notices, with a clock that the test moves


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets time pass on servers started after this."""
    real = clocks.system_clock
    passed = [0]
    monkeypatch.setattr(bootstrap, "system_clock", lambda: Millis(real() + passed[0]))
    return lambda millis: passed.append(passed.pop() + millis)


@pytest.fixture
async def pair(wait: object, environment: Environment) -> AsyncIterator[tuple[ApiClient, ApiClient]]:
    """Two accounts on a server of their own, whose clock `wait` moves."""
    with run_server(environment) as server:
        async with ApiClient.signed_in(server.url) as one, ApiClient.signed_in(server.url) as other:
            yield one, other


async def kinds(api: ApiClient) -> list[tuple[str, str]]:
    return [(item["body"]["kind"], item["cursor"]) for item in await feed(api)]


async def test_a_request_repeated_within_a_day_is_no_second_notice(
    wait: Callable[[int], None], pair: tuple[ApiClient, ApiClient]
) -> None:
    one, other = pair
    target = await id_of(other)
    await move(one, "add", target)
    (first,) = await feed(other)
    for passed in (0, DAY - 60_000):
        wait(passed)
        await move(one, "remove", target)
        await move(one, "add", target)

    assert [first] == await feed(other)


async def test_a_request_repeated_after_a_day_replaces_the_notice(
    wait: Callable[[int], None], pair: tuple[ApiClient, ApiClient]
) -> None:
    one, other = pair
    target = await id_of(other)
    await move(one, "add", target)
    await move(one, "remove", target)
    wait(DAY + 60_000)
    await move(one, "add", target)

    assert [("friend_request", "0-2")] == await kinds(other)


async def test_the_accepter_gets_a_notice_only_when_the_request_is_a_day_old(
    wait: Callable[[int], None], pair: tuple[ApiClient, ApiClient]
) -> None:
    one, other = pair
    await move(one, "add", await id_of(other))
    await move(other, "add", await id_of(one))

    assert [("friend_accepted", "0-1")] == await kinds(one)
    assert [("friend_request", "0-1")] == await kinds(other)


async def test_an_old_request_that_is_accepted_is_a_notice_to_both(
    wait: Callable[[int], None], pair: tuple[ApiClient, ApiClient]
) -> None:
    one, other = pair
    await move(one, "add", await id_of(other))
    wait(DAY + 60_000)
    await move(other, "add", await id_of(one))

    assert [("friend_accepted", "0-1")] == await kinds(one)
    assert [("friend_accepted", "0-2"), ("friend_request", "0-1")] == await kinds(other)


async def test_who_took_a_request_back_gets_no_notice_of_the_other_one(
    pair: tuple[ApiClient, ApiClient],
) -> None:
    one, other = pair
    await move(one, "add", await id_of(other))
    await move(one, "remove", await id_of(other))
    await move(other, "add", await id_of(one))

    assert [] == await kinds(one)
