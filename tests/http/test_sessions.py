"""Sessions (protocol: http#sessions)."""

import asyncio
import time
from typing import Any

import pytest
import sqlalchemy as sa

from schema.tables import session_messages, sessions
from tests.support.api_client import ApiClient, b64
from tests.support.rows import Rows, move
from tests.support.until import until

MINUTE = 60_000
LISTED = {
    "id",
    "seq",
    "createdAt",
    "updatedAt",
    "active",
    "activeAt",
    "metadata",
    "metadataVersion",
    "agentState",
    "agentStateVersion",
    "dataEncryptionKey",
}


def now() -> int:
    return time.time_ns() // 1_000_000


async def tags(api: ApiClient, count: int) -> list[str]:
    """That many new sessions, the oldest first."""
    return [(await api.create_session(f"tag {number}"))["id"] for number in range(count)]


def ids(answer: dict[str, Any]) -> list[str]:
    return [session["id"] for session in answer["sessions"]]


# -- create --------------------------------------------------------------------------------------------


async def test_a_new_session_has_every_field(api: ApiClient) -> None:
    before = now()

    session = await api.create_session("tag", "opaque", data_encryption_key=b64(b"key"))

    assert LISTED | {"lastMessage"} == set(session)
    expected = {
        "seq": 0,
        "metadata": "opaque",
        "metadataVersion": 0,
        "agentState": None,
        "agentStateVersion": 0,
        "dataEncryptionKey": b64(b"key"),
        "active": True,
        "lastMessage": None,
    }
    assert expected == {name: session[name] for name in expected}
    assert before <= session["createdAt"] == session["updatedAt"] == session["activeAt"] <= now()
    assert (25, "c") == (len(session["id"]), session["id"][0])


async def test_the_tag_is_never_returned(api: ApiClient) -> None:
    await api.create_session("secret tag")

    for path in ("/v1/sessions", "/v2/sessions", "/v2/sessions/active"):
        assert "secret tag" not in str(await api.get(path))


async def test_the_agent_state_of_a_new_session_is_ignored_because_clients_set_it_afterwards(
    api: ApiClient,
) -> None:
    session = await api.create_session(agent_state="state")

    assert (None, 0) == (session["agentState"], session["agentStateVersion"])


async def test_an_existing_tag_returns_the_stored_session_unchanged(api: ApiClient) -> None:
    first = await api.create_session("tag", "old", data_encryption_key=b64(b"old"))

    second = await api.create_session("tag", "new", data_encryption_key=b64(b"new"))

    assert first == second


async def test_an_existing_tag_is_announced_to_nobody(api: ApiClient) -> None:
    async with api.user_socket() as socket:
        session = await api.create_session("tag")
        await api.create_session("tag")

        assert session["id"] == (await socket.next_update("new-session"))["id"]
        assert [] == await socket.unread()


async def test_tags_of_different_accounts_have_nothing_to_do_with_each_other(
    api: ApiClient, stranger: ApiClient
) -> None:
    assert (await api.create_session("tag"))["id"] != (await stranger.create_session("tag"))["id"]


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (None, None),
        ("", None),
        ("AQID", "AQID"),
        ("-_-_", "+/+/"),
        ("AQ", "AQ=="),
        ("!!!!", ""),
        ("A Q\nI", "AQI="),
    ],
)
async def test_a_key_is_read_leniently_and_returned_as_padded_base64(
    api: ApiClient, sent: str | None, stored: str | None
) -> None:
    assert stored == (await api.create_session(data_encryption_key=sent))["dataEncryptionKey"]


async def test_all_texts_may_be_empty(api: ApiClient) -> None:
    body = {"tag": "", "metadata": ""}

    first = await api.post("/v1/sessions", body)

    assert first == await api.post("/v1/sessions", body)


@pytest.mark.parametrize(
    "change",
    [
        {"tag": None},
        {"tag": 5},
        {"metadata": None},
        {"metadata": {}},
        {"agentState": 5},
        {"dataEncryptionKey": []},
    ],
)
async def test_a_session_with_a_field_of_the_wrong_type_is_refused(
    api: ApiClient, change: dict[str, Any]
) -> None:
    await api.post("/v1/sessions", {"tag": "t", "metadata": "m", **change}, expect=400)


@pytest.mark.parametrize("body", [{}, {"tag": "t"}, {"metadata": "m"}])
async def test_a_session_needs_a_tag_and_metadata(api: ApiClient, body: dict[str, str]) -> None:
    await api.post("/v1/sessions", body, expect=400)


async def test_simultaneous_first_calls_all_get_the_one_session_instead_of_a_500(api: ApiClient) -> None:
    """06 C15."""
    async with api.user_socket() as socket:
        sessions = await asyncio.gather(*[api.create_session("tag") for _ in range(16)])

        assert 1 == len({session["id"] for session in sessions})
        assert sessions[0]["id"] == (await socket.next_update("new-session"))["id"]
        assert [] == await socket.unread()


# -- lists ---------------------------------------------------------------------------------------------


async def test_the_list_holds_every_field(api: ApiClient) -> None:
    created = await api.create_session("tag", data_encryption_key=b64(b"k"))

    assert {"sessions": [created]} == await api.get("/v1/sessions")
    del created["lastMessage"]
    assert {"sessions": [created]} == await api.get("/v2/sessions/active")
    assert {"sessions": [created], "nextCursor": None, "hasNext": False} == await api.get("/v2/sessions")


@pytest.mark.parametrize("path", ["/v1/sessions", "/v2/sessions", "/v2/sessions/active"])
async def test_a_new_account_has_no_sessions_and_sees_nobody_elses(
    api: ApiClient, stranger: ApiClient, path: str
) -> None:
    await stranger.create_session()

    assert [] == ids(await api.get(path))


async def test_the_list_begins_with_the_most_recently_updated_and_ends_after_150(
    api: ApiClient, rows: Rows
) -> None:
    created = await tags(api, 152)
    await move(rows, sessions.c.updated_at, MINUTE, sessions.c.id == created[0])
    await move(rows, sessions.c.updated_at, -MINUTE, sessions.c.id == created[-1])

    listed = ids(await api.get("/v1/sessions"))

    assert (150, created[0]) == (len(listed), listed[0])
    assert created[-1] not in listed


async def test_the_active_list_leaves_out_stopped_sessions_and_those_not_seen_for_15_minutes(
    api: ApiClient, rows: Rows
) -> None:
    late, recent, silent, stopped = await tags(api, 4)
    for session_id, minutes in [(late, 0), (recent, 14), (silent, 15)]:
        seen = sa.update(sessions).where(sessions.c.id == session_id)
        await rows(seen.values(last_active_at=now() - minutes * MINUTE))
    await api.post(f"/v1/sessions/{stopped}/archive")

    assert [late, recent] == ids(await api.get("/v2/sessions/active"))
    assert [late] == ids(await api.get("/v2/sessions/active", limit=1))


async def test_pages_lead_through_all_sessions_from_the_newest_to_the_oldest(api: ApiClient) -> None:
    created = await tags(api, 7)
    found: list[str] = []
    cursor = ""
    pages = []
    while True:
        page = await api.get("/v2/sessions", limit=3, cursor=cursor)
        found += ids(page)
        pages.append(page["hasNext"])
        if not page["hasNext"]:
            break
        cursor = page["nextCursor"]
        assert f"cursor_v1_{found[-1]}" == cursor

    assert created[::-1] == found
    assert [True, True, False] == pages


async def test_a_page_that_is_just_full_is_the_last(api: ApiClient) -> None:
    await tags(api, 3)

    page = await api.get("/v2/sessions", limit=3)

    assert (None, False) == (page["nextCursor"], page["hasNext"])


@pytest.mark.parametrize("cursor", ["", "cursor_v1_"])
async def test_a_cursor_without_an_id_begins_with_the_newest(api: ApiClient, cursor: str) -> None:
    created = await tags(api, 2)

    assert created[::-1] == ids(await api.get("/v2/sessions", cursor=cursor))


@pytest.mark.parametrize("cursor", ["cursor_v2_x", "x", "Cursor_v1_x", " cursor_v1_"])
async def test_a_cursor_of_another_form_is_refused(api: ApiClient, cursor: str) -> None:
    assert {"error": "Invalid cursor format"} == await api.get("/v2/sessions", cursor=cursor, expect=400)


async def test_changed_since_keeps_what_was_updated_later_and_changes_no_order(
    api: ApiClient, rows: Rows
) -> None:
    created = await tags(api, 3)
    for number, session_id in enumerate(created):
        await rows(sa.update(sessions).where(sessions.c.id == session_id).values(updated_at=1000 - number))

    assert created[1::-1] == ids(await api.get("/v2/sessions", changedSince=998))
    assert [] == ids(await api.get("/v2/sessions", changedSince=1000))


# -- archive -------------------------------------------------------------------------------------------


async def test_archiving_stops_a_session_and_is_announced(api: ApiClient) -> None:
    session = await api.create_session()
    async with api.user_socket() as socket:
        before = now()

        assert {"success": True} == await api.post(f"/v1/sessions/{session['id']}/archive")

        event = await socket.next_ephemeral("activity")
        assert (session["id"], False, False) == (event["id"], event["active"], event["thinking"])
        assert before <= event["activeAt"] <= now()
    stored = (await api.get("/v1/sessions"))["sessions"][0]
    assert (False, event["activeAt"]) == (stored["active"], stored["activeAt"])


async def test_archiving_again_repeats_all_effects(api: ApiClient) -> None:
    path = f"/v1/sessions/{(await api.create_session())['id']}/archive"
    async with api.user_socket() as socket:
        for _ in range(2):
            await api.post(path)
            assert (await socket.next_ephemeral("activity"))["active"] is False


async def test_only_the_owner_can_archive(api: ApiClient, stranger: ApiClient) -> None:
    session_id = (await api.create_session())["id"]
    missing = {"error": "Session not found"}

    assert missing == await stranger.post(f"/v1/sessions/{session_id}/archive", expect=404)
    assert missing == await stranger.post("/v1/sessions/unknown/archive", expect=404)
    assert (await api.get("/v1/sessions"))["sessions"][0]["active"]


async def test_a_stranger_who_archives_or_deletes_cannot_mute_heartbeats(
    api: ApiClient, stranger: ApiClient
) -> None:
    """06 B5: the session looked dead for a minute."""
    session_id = (await api.create_session())["id"]
    await stranger.post(f"/v1/sessions/{session_id}/archive", expect=404)
    await stranger.delete(f"/v1/sessions/{session_id}", expect=404)

    async with api.user_socket() as phone, api.session_socket(session_id) as session:
        await session.emit("session-alive", {"sid": session_id, "time": now(), "thinking": True})

        assert (await phone.next_ephemeral("activity"))["thinking"]


# -- delete --------------------------------------------------------------------------------------------


async def test_deleting_removes_the_session_with_everything_in_it(api: ApiClient, rows: Rows) -> None:
    session_id = (await api.create_session("tag"))["id"]
    await api.post_messages(session_id, ["a", "b"])
    async with api.user_socket() as socket:
        assert {"success": True} == await api.delete(f"/v1/sessions/{session_id}")

        assert session_id == (await socket.next_update("delete-session"))["sid"]
    assert [] == ids(await api.get("/v1/sessions"))
    messages = session_messages.c

    async def are_gone() -> bool:
        return not await rows(sa.select(messages.id).where(messages.session_id == session_id))

    await until(are_gone)
    assert session_id != (await api.create_session("tag"))["id"]


async def test_only_the_owner_can_delete_and_only_once(api: ApiClient, stranger: ApiClient) -> None:
    path = f"/v1/sessions/{(await api.create_session())['id']}"
    missing = {"error": "Session not found or not owned by user"}

    assert missing == await stranger.delete(path, expect=404)
    await api.delete(path)
    assert missing == await api.delete(path, expect=404)
