"""Appending messages and announcing each of them once (protocol: http#messages)."""

import asyncio
from typing import Any

import pytest

from happy.domain.errors import CommitInDoubt, NotFound, Unavailable
from happy.domain.events import to_session
from happy.domain.sessions import Session, encrypted_content
from happy.domain.values import AccountId, ConnectionId, SessionId
from tests.support import factories
from tests.unit.services.world import World

TEXT = encrypted_content("text")


@pytest.fixture
async def session(world: World, owner: AccountId) -> Session:
    return await factories.session(world.store, owner)


async def append(world: World, session: Session, *contents: tuple[str | None, str]) -> list[int]:
    stored = await world.messages.append(
        session.account_id, session.id, [(local_id, encrypted_content(text)) for local_id, text in contents]
    )
    return [message.seq for message in stored]


async def test_messages_are_announced_in_ascending_order(world: World, session: Session) -> None:
    await append(world, session, ("a", "one"), ("b", "two"))
    published = world.sink.take()

    assert [(1, 1, "one"), (2, 2, "two")] == [
        (wire["seq"], wire["body"]["message"]["seq"], wire["body"]["message"]["content"]["c"])
        for wire in (event.wire for event in published)
    ]
    assert [(session.account_id, to_session(session.id), None)] * 2 == [
        (event.account_id, event.audience, event.skip) for event in published
    ]


async def test_an_announced_message_reads_as_it_is_stored(world: World, session: Session) -> None:
    (stored,) = await world.messages.append(session.account_id, session.id, [("a", TEXT)])
    (wire,) = world.sink.wires()

    assert {
        "t": "new-message",
        "sid": session.id,
        "message": {
            "id": stored.id,
            "seq": 1,
            "content": {"t": "encrypted", "c": "text"},
            "localId": "a",
            "createdAt": world.clock.now,
            "updatedAt": world.clock.now,
        },
    } == wire["body"]


async def test_the_sender_can_be_skipped(world: World, session: Session) -> None:
    sender = ConnectionId("sender")
    await world.messages.append(session.account_id, session.id, [(None, TEXT)], skip=sender)

    assert [sender] == [event.skip for event in world.sink.take()]


async def test_c2_a_message_sent_again_burnt_two_numbers(world: World, session: Session) -> None:
    first = await append(world, session, ("a", "one"))
    world.sink.take()
    again = await append(world, session, ("a", "again"), ("b", "two"))

    assert [1] == first
    assert [1, 2] == again
    assert [(2, "b")] == [(w["seq"], w["body"]["message"]["localId"]) for w in world.sink.wires()]


async def test_the_first_of_equal_local_ids_in_one_request_wins(world: World, session: Session) -> None:
    assert [1, 2] == await append(world, session, ("a", "one"), ("b", "two"), ("a", "three"))
    assert ["one", "two"] == [wire["body"]["message"]["content"]["c"] for wire in world.sink.wires()]


async def test_c4_the_second_message_with_an_empty_local_id_was_lost(world: World, session: Session) -> None:
    assert [1, 2] == await append(world, session, ("", "one"), ("", "two"))
    assert [3] == await append(world, session, ("", "three"))
    assert [None] * 3 == [wire["body"]["message"]["localId"] for wire in world.sink.wires()]


async def test_c6_an_empty_message_was_not_announced(world: World, session: Session) -> None:
    await append(world, session, (None, ""))

    assert [""] == [wire["body"]["message"]["content"]["c"] for wire in world.sink.wires()]


async def test_c7_a_message_repeated_at_once_failed(world: World, session: Session) -> None:
    answers = await asyncio.gather(*(append(world, session, ("a", "text")) for _ in range(16)))

    assert [[1]] * 16 == answers
    assert 1 == len(world.sink.take())


async def test_nothing_is_announced_for_a_session_that_takes_nothing(world: World, session: Session) -> None:
    stranger = await factories.account(world.store)
    with pytest.raises(NotFound):
        await world.messages.append(stranger, session.id, [(None, TEXT)])
    with pytest.raises(NotFound):
        await world.messages.append(session.account_id, SessionId("unknown"), [(None, TEXT)])

    assert [] == world.sink.take()


async def test_pages_say_exactly_whether_there_is_more(world: World, session: Session) -> None:
    await append(world, session, *[(None, "text")] * 3)
    owner, sid, service = session.account_id, session.id, world.messages
    pages = [
        await service.after(owner, sid, 0, 3),
        await service.after(owner, sid, 0, 2),
        await service.before(owner, sid, 4, 3),
        await service.before(owner, sid, 4, 2),
    ]

    assert [([1, 2, 3], False), ([1, 2], True), ([3, 2, 1], False), ([3, 2], True)] == [
        ([message.seq for message in factories.whole(page.messages)], page.has_more) for page in pages
    ]


async def test_the_legacy_page_holds_the_newest_150(world: World, session: Session) -> None:
    await append(world, session, *[(None, "text")] * 152)
    newest = await world.messages.newest(session.account_id, session.id)

    assert list(range(152, 2, -1)) == [message.seq for message in factories.whole(newest)]


@pytest.mark.parametrize(
    ("error", "is_in_doubt"), [(CommitInDoubt, True), (asyncio.CancelledError, True), (Unavailable, False)]
)
async def test_an_in_doubt_append_resyncs_clients(
    world: World,
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
    *,
    is_in_doubt: bool,
) -> None:
    async def cut(*_: Any) -> None:
        raise error

    monkeypatch.setattr(world.store.messages, "append", cut)
    with pytest.raises(error):
        await append(world, session, ("a", "text"))

    assert [session.account_id] == world.sink.begun == world.sink.ended
    assert [session.account_id] * is_in_doubt == world.sink.in_doubt_accounts
