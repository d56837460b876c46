"""User search, profiles and friends (protocol: http#users-friends-feed, realtime#update)."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa

from schema.tables import accounts, github_users
from tests.support.api_client import ApiClient
from tests.support.rows import Rows

WITHOUT_A_NAME = {"firstName": "", "lastName": None, "avatar": None, "username": "", "bio": None}


async def id_of(api: ApiClient) -> str:
    return str((await api.get("/v1/account/profile"))["id"])


@pytest.fixture
async def me(api: ApiClient) -> str:
    return await id_of(api)


@pytest.fixture
async def you(stranger: ApiClient) -> str:
    return await id_of(stranger)


async def add(api: ApiClient, uid: str) -> Any:
    return (await api.post("/v1/friends/add", {"uid": uid}))["user"]


async def remove(api: ApiClient, uid: str) -> Any:
    return (await api.post("/v1/friends/remove", {"uid": uid}))["user"]


async def status(api: ApiClient, uid: str) -> str:
    return str((await api.get(f"/v1/user/{uid}"))["user"]["status"])


async def describe(rows: Rows, account_id: str, github: dict[str, Any] | None = None, **columns: str) -> None:
    """Give an account the profile that linking with GitHub leaves."""
    if github is not None:
        linked = {"id": account_id, "profile": json.dumps(github), "created_at": 0, "updated_at": 0}
        await rows(sa.insert(github_users).values(linked))
        columns["github_user_id"] = account_id
    await rows(sa.update(accounts).where(accounts.c.id == account_id).values(**columns))


# Profiles


async def test_a_profile_has_every_field(api: ApiClient, me: str, you: str) -> None:
    assert {"user": {"id": you, **WITHOUT_A_NAME, "status": "none"}} == await api.get(f"/v1/user/{you}")
    assert {"user": {"id": me, **WITHOUT_A_NAME, "status": "none"}} == await api.get(f"/v1/user/{me}")


async def test_a_linked_profile_shows_name_picture_and_bio(rows: Rows, api: ApiClient, you: str) -> None:
    picture = {"path": "public/users/a.png", "width": 20, "height": 30, "thumbhash": "abc"}
    name = f"ada-{uuid.uuid4().hex}"
    await describe(
        rows,
        you,
        {"login": "ignored", "bio": "Numbers"},
        first_name="Ada",
        last_name="Lovelace",
        username=name,
        avatar=json.dumps(picture),
    )
    user = (await api.get(f"/v1/user/{you}"))["user"]

    url = user["avatar"].pop("url")
    assert url.startswith("http")
    assert url.endswith("/files/public/users/a.png")
    assert {
        "id": you,
        "firstName": "Ada",
        "lastName": "Lovelace",
        "avatar": picture,
        "username": name,
        "bio": "Numbers",
        "status": "none",
    } == user


@pytest.mark.parametrize("github", [{"login": "octocat", "bio": ""}, {"login": "octocat", "bio": None}])
async def test_the_github_login_stands_in_for_a_username_and_an_empty_bio_is_none(
    rows: Rows, api: ApiClient, you: str, github: dict[str, Any]
) -> None:
    await describe(rows, you, github, avatar="null")
    user = (await api.get(f"/v1/user/{you}"))["user"]

    assert ("octocat", None, None) == (user["username"], user["bio"], user["avatar"])


@pytest.mark.parametrize("uid", ["nobody", "c000000000000000000000000", "%2F", "ü"])
async def test_an_unknown_user_is_not_found(api: ApiClient, uid: str) -> None:
    assert {"error": "User not found"} == await api.get(f"/v1/user/{uid}", expect=404)


# Search


async def test_search_finds_users_by_the_beginning_of_their_name_in_any_case(
    rows: Rows, api: ApiClient, stranger: ApiClient, me: str, you: str
) -> None:
    tag = uuid.uuid4().hex
    await describe(rows, me, username=f"{tag}B")
    await describe(rows, you, username=f"{tag}A")
    await add(stranger, me)
    found = (await api.get("/v1/user/search", query=tag.upper()))["users"]

    assert [
        {"id": you, **WITHOUT_A_NAME, "username": f"{tag}A", "status": "pending"},
        {"id": me, **WITHOUT_A_NAME, "username": f"{tag}B", "status": "none"},
    ] == found
    assert {"users": []} == await api.get("/v1/user/search", query=tag[1:])


@pytest.mark.parametrize("wildcards", ["%", "_", "%_", "\\", "*"])
async def test_search_has_no_wildcards(rows: Rows, api: ApiClient, you: str, wildcards: str) -> None:
    tag = uuid.uuid4().hex
    await describe(rows, you, username=tag)

    assert {"users": []} == await api.get("/v1/user/search", query=wildcards)
    assert {"users": []} == await api.get("/v1/user/search", query=tag[:-1] + wildcards)


async def test_search_answers_ten_and_an_empty_query_too(rows: Rows, api: ApiClient) -> None:
    tag = uuid.uuid4().hex
    for number in range(11):
        async with ApiClient.signed_in(api.url) as other:
            await describe(rows, await id_of(other), username=f"{tag}{10 - number:02}")
    found = (await api.get("/v1/user/search", query=tag))["users"]

    assert [f"{tag}{number:02}" for number in range(10)] == [user["username"] for user in found]
    assert 10 == len((await api.get("/v1/user/search", query=""))["users"])


async def test_search_needs_a_query(api: ApiClient) -> None:
    assert "Error" == (await api.get("/v1/user/search", expect=400))["error"]
    assert "Error" == (await api.get("/v1/user/search", query=["a", "b"], expect=400))["error"]
    assert "Error" == (await api.get("/v1/user/search", query="a\0", expect=400))["error"]


async def test_a_very_long_query_finds_nobody(api: ApiClient) -> None:
    assert {"users": []} == await api.get("/v1/user/search", query="a" * 16_000)


# Friends


async def test_asking_and_accepting(api: ApiClient, stranger: ApiClient, me: str, you: str) -> None:
    assert {"id": you, **WITHOUT_A_NAME, "status": "requested"} == await add(api, you)
    assert "pending" == await status(stranger, me)
    assert {"id": me, **WITHOUT_A_NAME, "status": "friend"} == await add(stranger, me)
    assert "friend" == await status(api, you)


async def test_asking_twice_changes_nothing(api: ApiClient, stranger: ApiClient, me: str, you: str) -> None:
    assert ["requested", "requested"] == [(await add(api, you))["status"] for _ in range(2)]
    assert "pending" == await status(stranger, me)
    assert ["friend", "friend"] == [(await add(stranger, me))["status"] for _ in range(2)]


async def test_declining(api: ApiClient, stranger: ApiClient, me: str, you: str) -> None:
    await add(api, you)

    assert ["none", "none"] == [(await remove(stranger, me))["status"] for _ in range(2)]
    assert "none" == await status(api, you)


async def test_taking_a_request_back_takes_it_from_the_other_side_too(
    api: ApiClient, stranger: ApiClient, me: str, you: str
) -> None:
    await add(api, you)

    assert ["rejected", "rejected"] == [(await remove(api, you))["status"] for _ in range(2)]
    assert "none" == await status(stranger, me)
    assert {"friends": []} == await api.get("/v1/friends") == await stranger.get("/v1/friends")
    assert "requested" == (await add(stranger, me))["status"]
    assert "friend" == (await add(api, you))["status"]


async def test_unfriending_turns_the_friend_into_one_who_asks(
    api: ApiClient, stranger: ApiClient, me: str, you: str
) -> None:
    await add(api, you)
    await add(stranger, me)

    assert "pending" == (await remove(api, you))["status"]
    assert ("pending", "requested") == (await status(api, you), await status(stranger, me))
    assert "none" == (await remove(api, you))["status"]
    assert ("none", "none") == (await status(api, you), await status(stranger, me))


@pytest.mark.parametrize("uid", ["nobody", "", "ü" * 200])
async def test_an_unknown_user_cannot_be_added_or_removed(api: ApiClient, uid: str) -> None:
    assert {"user": None} == await api.post("/v1/friends/add", {"uid": uid})
    assert {"user": None} == await api.post("/v1/friends/remove", {"uid": uid})


async def test_oneself_is_nobody_to_add_and_a_stranger_to_remove(api: ApiClient, me: str) -> None:
    assert None is await add(api, me)
    assert {"id": me, **WITHOUT_A_NAME, "status": "none"} == await remove(api, me)
    assert {"friends": []} == await api.get("/v1/friends")


@pytest.mark.parametrize("path", ["/v1/friends/add", "/v1/friends/remove"])
@pytest.mark.parametrize("body", [{}, {"uid": 5}, {"uid": None}, {"uid": "a\0b"}, [], {"id": "x"}])
async def test_a_move_needs_a_user_id(api: ApiClient, path: str, body: Any) -> None:
    assert "Error" == (await api.post(path, body, expect=400))["error"]


async def test_friends_lists_what_is_open_or_agreed(
    api: ApiClient, stranger: ApiClient, me: str, you: str
) -> None:
    async with ApiClient.signed_in(api.url) as third, ApiClient.signed_in(api.url) as fourth:
        asked, former = await id_of(third), await id_of(fourth)
        await add(stranger, me)
        await add(api, you)
        await add(api, asked)
        await add(fourth, me)
        await remove(api, former)
        friends = (await api.get("/v1/friends"))["friends"]
        other_side = (await third.get("/v1/friends"))["friends"]

    expected = [
        {"id": you, **WITHOUT_A_NAME, "status": "friend"},
        {"id": asked, **WITHOUT_A_NAME, "status": "requested"},
    ]
    assert {user["id"]: user for user in expected} == {user["id"]: user for user in friends}
    assert 2 == len(friends)
    assert [{"id": me, **WITHOUT_A_NAME, "status": "pending"}] == other_side


async def test_sixteen_at_once_from_both_sides_become_friends_once(
    api: ApiClient, stranger: ApiClient, me: str, you: str
) -> None:
    async with api.user_socket() as mine, stranger.user_socket() as yours:
        answers = await asyncio.gather(
            *(add(api, you) for _ in range(8)), *(add(stranger, me) for _ in range(8))
        )
        await mine.unread()

        assert {"requested", "friend"} >= {user["status"] for user in answers}
        assert ("friend", "friend") == (await status(api, you), await status(stranger, me))
        assert "friend" == mine.updates("relationship-updated")[-1]["status"]
        assert 2 == len(mine.updates("relationship-updated")) == len(yours.updates("relationship-updated"))
    posts = [(await who.get("/v1/feed"))["items"] for who in (api, stranger)]
    assert ["friend_accepted", "friend_request"] == sorted(
        item["body"]["kind"] for items in posts for item in items
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/user/search?query="),
        ("GET", "/v1/user/somebody"),
        ("GET", "/v1/friends"),
        ("POST", "/v1/friends/add"),
        ("POST", "/v1/friends/remove"),
    ],
)
async def test_strangers_without_a_token_are_refused(anonymous: ApiClient, method: str, path: str) -> None:
    answer = await anonymous.request(method, path)

    assert (401, {"error": "Missing authorization header"}) == (answer.status_code, answer.json())


# What both hear


@contextlib.asynccontextmanager
async def both_listening(api: ApiClient, stranger: ApiClient) -> AsyncIterator[tuple[Any, Any]]:
    async with api.user_socket() as mine, stranger.user_socket() as yours:
        yield mine, yours


async def test_both_accounts_receive_every_change_from_their_own_view(
    api: ApiClient, stranger: ApiClient, me: str, you: str
) -> None:
    async with both_listening(api, stranger) as (mine, yours):
        received = []
        for move in (add(api, you), add(stranger, me), remove(api, you), remove(stranger, me)):
            await move
            received.append([await socket.next_update("relationship-updated") for socket in (mine, yours)])

    assert [
        [("requested", "created"), ("pending", "created")],
        [("friend", "updated"), ("friend", "updated")],
        [("pending", "updated"), ("requested", "updated")],
        [("none", "deleted"), ("rejected", "updated")],
    ] == [[(body["status"], body["action"]) for body in bodies] for bodies in received]
    for my_body, your_body in received:
        assert (me, you) == (my_body["fromUserId"], my_body["toUserId"])
        assert (you, me) == (your_body["fromUserId"], your_body["toUserId"])


async def test_relationship_updates_have_the_format_that_the_app_reads(
    api: ApiClient, stranger: ApiClient, me: str, you: str
) -> None:
    async with stranger.user_socket() as yours:
        await add(api, you)
        body = await yours.next_update("relationship-updated")
    timestamp = body.pop("timestamp")

    assert isinstance(timestamp, int)
    assert {
        "t": "relationship-updated",
        "fromUserId": you,
        "toUserId": me,
        "status": "pending",
        "action": "created",
        "toUser": {"id": me, **WITHOUT_A_NAME, "status": "pending"},
    } == body


async def test_feed_post_events_carry_their_repeat_key(
    api: ApiClient, stranger: ApiClient, me: str, you: str
) -> None:
    async with both_listening(api, stranger) as (mine, yours):
        await add(api, you)
        asked = await yours.next_update("new-feed-post")
        await add(stranger, me)
        accepted = await mine.next_update("new-feed-post")
    (stored,) = (await stranger.get("/v1/feed"))["items"]

    assert {"t": "new-feed-post", **stored} == asked
    assert ({"kind": "friend_request", "uid": me}, f"friend_request_{me}", "0-1") == (
        asked["body"],
        asked["repeatKey"],
        asked["cursor"],
    )
    assert ({"kind": "friend_accepted", "uid": you}, f"friend_accepted_{you}") == (
        accepted["body"],
        accepted["repeatKey"],
    )


async def test_only_user_scoped_sockets_receive_relationship_updates(
    api: ApiClient, stranger: ApiClient, me: str
) -> None:
    session = await api.create_session()
    machine = await api.register_machine()
    agent, daemon = api.session_socket(session["id"]), api.machine_socket(machine["id"])
    async with agent, daemon, api.user_socket() as phone:
        await add(stranger, me)
        await phone.next_update("relationship-updated")

        assert [] == [event for event in await agent.unread() if event.name == "update"]
        assert [] == daemon.updates()


async def test_friendship_requests_without_effect_emit_no_event(
    api: ApiClient, stranger: ApiClient, me: str, you: str
) -> None:
    await add(api, you)
    async with both_listening(api, stranger) as (mine, yours):
        await add(api, you)
        await remove(api, me)
        await remove(api, "nobody")

        assert [] == await mine.unread()
        assert [] == yours.updates()
