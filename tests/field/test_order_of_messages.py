"""Messages are drawn in the order in which they were written, by events and after a reload alike."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.app_view import drawn
from tests.e2e.conftest import Account
from tests.support.api_client import ApiClient
from tests.support.cluster import Pair
from tests.support.official_client import OfficialSocket

pytestmark = pytest.mark.asyncio(loop_scope="session")

OUTBOX = ["one", "two", "three"]


@pytest_asyncio.fixture(loop_scope="session")
async def phone(account: Account) -> AsyncIterator[OfficialSocket]:
    async with account.user() as socket:
        yield socket


async def arrivals(socket: OfficialSocket, count: int) -> list[dict[str, Any]]:
    return [(await socket.next_update("new-message"))["message"] for _ in range(count)]


async def pages(api: ApiClient, session_id: str) -> tuple[list[str], list[str]]:
    """What is drawn after a catch-up, and after a reload."""
    reload = await api.get(f"/v3/sessions/{session_id}/messages", before_seq=2**31 - 1, limit=500)
    return drawn(await api.messages(session_id)), drawn(reload["messages"])


async def test_three_messages_typed_offline_arrive_in_their_order_on_the_second_device(
    account: Account, phone: OfficialSocket
) -> None:
    session_id = (await account.api.create_session())["id"]
    answered = await account.api.post_messages(session_id, OUTBOX)
    pushed = await arrivals(phone, 3)
    stored = await account.api.messages(session_id)

    assert OUTBOX[::-1] == drawn(pushed)
    assert (OUTBOX[::-1], OUTBOX[::-1]) == await pages(account.api, session_id)
    assert pushed == stored
    assert [(row["id"], row["createdAt"], row["updatedAt"]) for row in answered] == [
        (row["id"], row["createdAt"], row["updatedAt"]) for row in stored
    ]


async def test_a_burst_of_socket_messages_is_drawn_in_the_order_in_which_it_was_sent(
    account: Account, phone: OfficialSocket
) -> None:
    session_id = (await account.api.create_session())["id"]
    texts = [f"line {number}" for number in range(40)]
    async with account.session(session_id) as agent:
        for text in texts:
            await agent.emit("message", {"sid": session_id, "message": text})
        pushed = await arrivals(phone, len(texts))

    assert texts[::-1] == drawn(pushed)
    assert (texts[::-1], texts[::-1]) == await pages(account.api, session_id)
    assert pushed == await account.api.messages(session_id)


async def test_two_devices_that_write_at_once_see_one_order(account: Account, phone: OfficialSocket) -> None:
    session_id = (await account.api.create_session())["id"]
    batches = [[f"{device} {number}" for number in range(5)] for device in range(8)]
    await asyncio.gather(*(account.api.post_messages(session_id, batch) for batch in batches))
    seen = drawn(await arrivals(phone, 40))

    assert (seen, seen) == await pages(account.api, session_id)
    assert seen == [message["content"]["c"] for message in (await account.api.messages(session_id))[::-1]]


async def test_devices_on_two_replicas_see_one_order(pair: Pair) -> None:
    one, other = pair
    session_id = (await one.create_session())["id"]
    async with one.user_socket() as phone:
        await asyncio.gather(
            *(
                api.post_messages(session_id, [f"{turn} {position} {number}" for number in range(3)])
                for turn in range(10)
                for position, api in enumerate(pair)
            )
        )
        seen = drawn([(await phone.next_update("new-message"))["message"] for _ in range(60)])

    assert (seen, seen) == await pages(other, session_id)
    assert seen == [message["content"]["c"] for message in (await other.messages(session_id))[::-1]]
