"""Messages (protocol: http#messages)."""

import asyncio
import itertools
import time
import uuid
from typing import Any

import pytest
import sqlalchemy as sa

from schema.tables import session_messages, sessions
from tests.support.api_client import ApiClient
from tests.support.rows import Rows

JSON = {"Content-Type": "application/json"}

MISSING = {"error": "Session not found"}
INT4 = 2**31 - 1


@pytest.fixture
async def session_id(api: ApiClient) -> str:
    return str((await api.create_session())["id"])


def numbers(messages: list[dict[str, Any]]) -> list[int]:
    return [message["seq"] for message in messages]


def contents(messages: list[dict[str, Any]]) -> list[str]:
    return [message["content"]["c"] for message in messages]


# -- append --------------------------------------------------------------------------------------------


async def test_appended_messages_are_numbered_in_order_and_returned_without_content(
    api: ApiClient, session_id: str
) -> None:
    before = time.time_ns() // 1_000_000

    rows = await api.post_messages(session_id, ["a", "b", "c"], ["1", "2", "3"])

    assert [{"id", "seq", "localId", "createdAt", "updatedAt"}] * 3 == [set(row) for row in rows]
    assert ([1, 2, 3], ["1", "2", "3"]) == (numbers(rows), [row["localId"] for row in rows])
    assert all(before <= row["createdAt"] == row["updatedAt"] for row in rows)


async def test_messages_of_one_request_are_answered_with_the_growing_times_they_are_stored_with(
    api: ApiClient, session_id: str
) -> None:
    rows = await api.post_messages(session_id, [str(number) for number in range(50)])
    rows += await api.post_messages(session_id, ["last"])
    stored = await api.messages(session_id)

    moments = [row["createdAt"] for row in rows]
    assert sorted(set(moments)) == moments
    assert moments == [message["createdAt"] for message in stored]
    assert moments == [message["updatedAt"] for message in stored] == [row["updatedAt"] for row in rows]


async def test_messages_of_a_former_release_are_unchanged_and_new_ones_are_later(
    api: ApiClient, session_id: str, rows: Rows
) -> None:
    await api.post_messages(session_id, ["a", "b", "c"])
    later = time.time_ns() // 1_000_000 + 60_000  # by a clock that was ahead
    former = sa.update(session_messages).where(session_messages.c.session_id == session_id)
    await rows(former.values(created_at=later, updated_at=later))
    await rows(sa.update(sessions).where(sessions.c.id == session_id).values(last_message_at=None))

    await api.post_messages(session_id, ["d", "e"])

    stored = await api.messages(session_id)
    assert [later, later, later, later + 1, later + 2] == [message["createdAt"] for message in stored]


async def test_a_message_is_read_back_with_every_field(api: ApiClient, session_id: str) -> None:
    (row,) = await api.post_messages(session_id, ['ünï "code" \\ 😀'], ["local"])

    expected = {
        "id": row["id"],
        "seq": 1,
        "content": {"t": "encrypted", "c": 'ünï "code" \\ 😀'},
        "localId": "local",
        "createdAt": row["createdAt"],
        "updatedAt": row["updatedAt"],
    }
    assert {"messages": [expected], "hasMore": False} == await api.get(f"/v3/sessions/{session_id}/messages")
    assert {"messages": [expected]} == await api.get(f"/v1/sessions/{session_id}/messages")


async def test_repeating_a_request_changes_nothing_and_is_announced_to_nobody(
    api: ApiClient, session_id: str
) -> None:
    async with api.user_socket() as socket:
        first = await api.post_messages(session_id, ["a", "b"], ["1", "2"])
        second = await api.post_messages(session_id, ["x", "y"], ["1", "2"])

        assert first == second
        assert [1, 2] == [(await socket.next_update("new-message"))["message"]["seq"] for _ in range(2)]
        assert [] == await socket.unread()
    assert ["a", "b"] == contents(await api.messages(session_id))


async def test_stored_and_new_messages_are_answered_together_in_ascending_order(
    api: ApiClient, session_id: str
) -> None:
    await api.post_messages(session_id, ["a", "b"], ["1", "2"])

    rows = await api.post_messages(session_id, ["c", "b", "d"], ["3", "2", "4"])

    assert [(2, "2"), (3, "3"), (4, "4")] == [(row["seq"], row["localId"]) for row in rows]


async def test_the_first_of_equal_local_ids_in_one_request_wins(api: ApiClient, session_id: str) -> None:
    rows = await api.post_messages(session_id, ["a", "b", "c"], ["1", "1", "2"])

    assert ["1", "2"] == [row["localId"] for row in rows]
    assert ["a", "c"] == contents(await api.messages(session_id))


async def test_local_ids_of_different_sessions_have_nothing_to_do_with_each_other(
    api: ApiClient, session_id: str
) -> None:
    other = (await api.create_session())["id"]
    await api.post_messages(session_id, ["a"], ["1"])

    assert [1] == numbers(await api.post_messages(other, ["b"], ["1"]))
    assert ["b"] == contents(await api.messages(other))


async def test_a_message_without_content_is_announced_like_any_other(api: ApiClient, session_id: str) -> None:
    """06 C6: it appeared only after a re-read."""
    async with api.session_socket(session_id) as socket:
        await api.post_messages(session_id, [""])

        assert "" == (await socket.next_update("new-message"))["message"]["content"]["c"]


async def test_simultaneous_requests_with_the_same_local_ids_store_one_row_each_instead_of_failing(
    api: ApiClient, session_id: str
) -> None:
    """06 C7."""
    local_ids = [str(number) for number in range(10)]

    answers = await asyncio.gather(
        *[api.post_messages(session_id, [f"{writer}"] * 10, local_ids) for writer in range(16)]
    )

    assert [answers[0]] * 16 == answers
    assert list(range(1, 11)) == numbers(await api.messages(session_id))


async def test_a_batch_holds_up_to_100_messages(api: ApiClient, session_id: str) -> None:
    assert 100 == len(await api.post_messages(session_id, ["x"] * 100))

    body = {"messages": [{"content": "x", "localId": str(number)} for number in range(101)]}
    answer = await api.post(f"/v3/sessions/{session_id}/messages", body, expect=400)
    assert "body/messages Too big: expected array to have <=100 items" == answer["message"]


async def test_a_message_of_two_megabytes_comes_back_whole(api: ApiClient, session_id: str) -> None:
    await api.post_messages(session_id, ["x" * 2_000_000])

    assert [2_000_000] == [len(text) for text in contents(await api.messages(session_id))]


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (rb"a\/b", "a/b"),
        (rb"a\nb\u00e9", "a\nb\u00e9"),
        ("\u00e9\U0001f600".encode(), "\u00e9\U0001f600"),
        (rb"cut \ud83d", "cut \ufffd"),
        (rb"\\ud83d \ud83d\ude00", "\\ud83d \U0001f600"),
        (b"\xff", "\ufffd"),
    ],
)
async def test_text_that_is_not_base64_is_stored_in_its_shortest_form(
    api: ApiClient, session_id: str, sent: bytes, stored: str
) -> None:
    body = b'{"messages":[{"content":"YQ==","localId":"a"},{"content":"%b","localId":"b"}]}' % sent
    await api.request("POST", f"/v3/sessions/{session_id}/messages", content=body, headers=JSON)

    assert ["YQ==", stored] == contents(await api.messages(session_id))


async def test_a_nul_in_a_message_is_refused(api: ApiClient, session_id: str) -> None:
    body = {"messages": [{"content": "a\0", "localId": "a"}]}
    answer = await api.post(f"/v3/sessions/{session_id}/messages", body, expect=400)

    assert "body/ Invalid input: the character U+0000 is not allowed" == answer["message"]


@pytest.mark.parametrize(
    "filler", [rb"\n" * 200_000, "\u00e9".encode() * 200_000, b'","x":[' + b"1," * 200_000 + b'1],"y":"']
)
async def test_a_large_text_that_is_expensive_to_parse_is_refused(
    api: ApiClient, session_id: str, filler: bytes
) -> None:
    body = b'{"messages":[{"content":"%b","localId":"a"}]}' % filler
    answer = await api.request("POST", f"/v3/sessions/{session_id}/messages", content=body, headers=JSON)

    assert (413, "Request body is too large") == (answer.status_code, answer.json()["message"])


async def test_messages_of_a_missing_or_foreign_session_do_not_exist(
    api: ApiClient, stranger: ApiClient, session_id: str
) -> None:
    await api.post_messages(session_id, ["a"], ["known"])
    for path in (session_id, "unknown"):
        for local_id in ("known", "new"):
            body = {"messages": [{"content": "x", "localId": local_id}]}
            assert MISSING == await stranger.post(f"/v3/sessions/{path}/messages", body, expect=404)
        for version in ("v1", "v3"):
            assert MISSING == await stranger.get(f"/{version}/sessions/{path}/messages", expect=404)
        assert MISSING == await stranger.get(f"/v3/sessions/{path}/messages", before_seq=5, expect=404)


# -- pages ---------------------------------------------------------------------------------------------


async def test_a_session_without_messages_has_an_empty_page(api: ApiClient, session_id: str) -> None:
    path = f"/v3/sessions/{session_id}/messages"

    assert {"messages": [], "hasMore": False} == await api.get(path)
    assert {"messages": [], "hasMore": False} == await api.get(path, before_seq=INT4)
    assert {"messages": []} == await api.get(f"/v1/sessions/{session_id}/messages")


async def test_pages_ascend_to_the_end(api: ApiClient, session_id: str) -> None:
    await api.post_messages(session_id, ["x"] * 7)
    path = f"/v3/sessions/{session_id}/messages"

    pages = [await api.get(path, after_seq=after, limit=3) for after in (0, 3, 6, 7)]

    assert [[1, 2, 3], [4, 5, 6], [7], []] == [numbers(page["messages"]) for page in pages]
    assert [True, True, False, False] == [page["hasMore"] for page in pages]


async def test_pages_descend_to_the_beginning(api: ApiClient, session_id: str) -> None:
    await api.post_messages(session_id, ["x"] * 7)
    path = f"/v3/sessions/{session_id}/messages"

    pages = [await api.get(path, before_seq=before, limit=3) for before in (INT4, 5, 2, 1)]

    assert [[7, 6, 5], [4, 3, 2], [1], []] == [numbers(page["messages"]) for page in pages]
    assert [True, True, False, False] == [page["hasMore"] for page in pages]


async def test_a_page_that_is_just_full_has_no_more(api: ApiClient, session_id: str) -> None:
    await api.post_messages(session_id, ["x"] * 3)
    path = f"/v3/sessions/{session_id}/messages"

    assert (await api.get(path, limit=3))["hasMore"] is False
    assert (await api.get(path, limit=3, before_seq=4))["hasMore"] is False


async def test_a_page_holds_100_messages_by_default(api: ApiClient, session_id: str) -> None:
    for _ in range(2):
        await api.post_messages(session_id, ["x"] * 100)
    path = f"/v3/sessions/{session_id}/messages"

    assert 100 == len((await api.get(path))["messages"])
    assert 200 == len((await api.get(path, limit=500))["messages"])


async def test_the_older_endpoint_returns_the_newest_150(api: ApiClient, session_id: str) -> None:
    for _ in range(2):
        await api.post_messages(session_id, ["x"] * 100)
        await asyncio.sleep(0.002)  # the clock must move on

    found = numbers((await api.get(f"/v1/sessions/{session_id}/messages"))["messages"])

    assert (150, set(range(101, 201))) == (len(found), set(found[:100]))


@pytest.mark.parametrize("cursor", [INT4 + 1, 2**53 - 1])
async def test_a_cursor_beyond_the_largest_number_is_clamped_instead_of_failing(
    api: ApiClient, session_id: str, cursor: int
) -> None:
    """06 C12."""
    await api.post_messages(session_id, ["x"])
    path = f"/v3/sessions/{session_id}/messages"

    assert [] == (await api.get(path, after_seq=cursor))["messages"]
    assert [1] == numbers((await api.get(path, before_seq=cursor))["messages"])


async def test_a_reader_that_pages_while_16_writers_append_misses_and_repeats_nothing(
    server_url: str, api: ApiClient, session_id: str
) -> None:
    """06 C3."""
    total = 16 * 12

    async def write(writer: int) -> None:
        async with ApiClient(server_url, token=api.token) as client:
            for number in range(12):
                await client.post_messages(session_id, [f"{writer}-{number}"], [str(uuid.uuid4())])

    async def read() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while len(found) < total:
            after = found[-1]["seq"] if found else 0
            page = await api.get(f"/v3/sessions/{session_id}/messages", after_seq=after, limit=7)
            found += page["messages"]
        return found

    async with asyncio.timeout(60):
        found, *_ = await asyncio.gather(read(), *map(write, range(16)))

    assert list(range(1, total + 1)) == numbers(found)
    assert {f"{w}-{n}" for w, n in itertools.product(range(16), range(12))} == set(contents(found))


async def test_each_new_message_takes_one_number_of_the_account_and_repeats_take_none(
    api: ApiClient, session_id: str
) -> None:
    async with api.user_socket() as socket:
        for local_ids in (["1"], ["1"], ["1", "2"], ["3"]):
            await api.post_messages(session_id, ["x"] * len(local_ids), local_ids)
        seqs = [(await socket.next_event("update")).payload["seq"] for _ in range(3)]

    assert list(range(seqs[0], seqs[0] + 3)) == seqs
