"""Requests with more messages than are held at once: stored in groups, and repeated without harm."""

import asyncio
import json
from typing import Any

import pytest
import pytest_asyncio

from happy.http.endpoints import message_groups
from happy.http.framework.limits import MAX_LONG_MESSAGES_BODY, MAX_MESSAGES_BODY
from tests.support.api_client import ApiClient
from tests.support.raw_http import RawConnection
from tests.support.server_thread import RunningServer

JSON = {"content-type": "application/json"}
MB = 1_000_000


@pytest_asyncio.fixture
async def session_id(api: ApiClient) -> str:
    return str((await api.create_session())["id"])


def batch(count: int, size: int = MB) -> list[dict[str, str]]:
    return [{"content": f"{number:08}" * (size // 8), "localId": f"m{number}"} for number in range(count)]


async def post(api: ApiClient, session: str, body: bytes, expect: int = 200) -> dict[str, Any]:
    answer = await api.request("POST", f"/v3/sessions/{session}/messages", content=body, headers=JSON)
    assert expect == answer.status_code, answer.text
    return dict(answer.json())


async def stored(api: ApiClient, session: str) -> list[tuple[int, str, str]]:
    rows = await api.messages(session)
    return [(row["seq"], row["localId"], row["content"]["c"]) for row in rows]


async def test_a_batch_of_a_client_that_was_offline_was_refused_for_ever(
    api: ApiClient, session_id: str
) -> None:
    messages = batch(20)
    async with api.user_socket() as phone:
        answer = await post(api, session_id, json.dumps({"messages": messages}).encode())
        pushed = [await phone.next_update("new-message") for _ in messages]

    expected = [
        (number, message["localId"], message["content"]) for number, message in enumerate(messages, start=1)
    ]
    assert expected == await stored(api, session_id)
    assert [row[:2] for row in expected] == [
        (receipt["seq"], receipt["localId"]) for receipt in answer["messages"]
    ]
    assert list(range(1, 21)) == [update["message"]["seq"] for update in pushed]


async def test_a_batch_that_is_repeated_is_stored_once(api: ApiClient, session_id: str) -> None:
    body = json.dumps({"messages": batch(20)}).encode()
    first = await post(api, session_id, body)
    second = await post(api, session_id, body)

    assert first == second
    assert 20 == len(await stored(api, session_id))


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ((b"}]}", b"}]"), 400, message_groups.UNEXPECTED),
        ((b"}]}", b"}}}"), 400, message_groups.UNEXPECTED),
        ((b'{"messages"', b'{"message"'), 400, message_groups.UNEXPECTED),
        ((b'"localId": "m18"', b'"local": "m18"'), 400, "body/localId Invalid input"),
        ((b'"localId": "m18"', b'"localId": 18, "x": "}"'), 400, "body/localId Invalid input"),
        ((b"00000018", b"\\n" * 4), 413, "Request body is too large"),
        ((b"00000018", b"\\u0000\\u0000", 1), 400, "U+0000"),
    ],
)
async def test_a_long_batch_that_is_not_as_it_should_be_is_refused(
    api: ApiClient, session_id: str, change: tuple[bytes, bytes], status: int, text: str
) -> None:
    body = json.dumps({"messages": batch(20)}).encode().replace(*change)
    answer = await post(api, session_id, body + b" " * (17 * MB - len(body)), status)

    assert text in str(answer["message"])
    assert all(number == seq for number, (seq, *_) in enumerate(await stored(api, session_id), start=1))


async def test_escapes_and_foreign_fields_do_not_hide_the_end_of_a_message(
    api: ApiClient, session_id: str
) -> None:
    plain = json.dumps({"messages": batch(18)}).encode()
    odd = rb'{"x": [{"}": "\\\"]}"}], "content": "a\"}\\", "localId": "odd"}'
    odd += b' , {"content": "", "localId": "e"} ]}'
    await post(api, session_id, plain.replace(b"]}", b" , " + odd, 1) + b"\n ")

    assert [(19, "odd", 'a"}\\'), (20, "e", "")] == (await stored(api, session_id))[18:]


async def test_one_message_may_not_be_longer_than_what_is_held(api: ApiClient, session_id: str) -> None:
    await post(api, session_id, json.dumps({"messages": batch(1, MAX_MESSAGES_BODY)}).encode(), 413)


async def test_more_than_a_hundred_messages_are_refused(api: ApiClient, session_id: str) -> None:
    body = json.dumps({"messages": batch(101, MB // 5)}).encode()
    answer = await post(api, session_id, body, 400)

    assert "body/messages Too big: expected array to have <=100 items" == answer["message"]


async def test_a_longer_batch_than_any_server_takes_is_refused_unread(
    server: RunningServer, api: ApiClient, session_id: str
) -> None:
    headers = {
        **JSON,
        "Authorization": f"Bearer {api.token}",
        "Content-Length": str(MAX_LONG_MESSAGES_BODY + 1),
    }
    async with await RawConnection.open(server.port) as connection:
        connection.send("POST", f"/v3/sessions/{session_id}/messages", headers, b"{")
        answer = await asyncio.wait_for(connection.answer("POST"), 20)

    assert 413 == answer.status
