"""Updates are numbered in their transaction and published after it."""

import asyncio
from typing import Any

import pytest

from happy.domain.errors import CommitInDoubt, NotFound, Unavailable
from happy.domain.events import TO_USER, DeleteSession, NewMessage, Update, to_session
from happy.domain.sessions import encrypted_content
from happy.domain.values import AccountId, ConnectionId, SessionId
from happy.services.unit_of_work import Changes
from tests.support import factories
from tests.support.factories import NOBODY
from tests.unit.services.world import World

SID = SessionId("s")


async def test_updates_are_numbered_in_the_order_of_their_recording(world: World, owner: AccountId) -> None:
    async def use_case(changes: Changes) -> str:
        for sid in ("a", "b", "c"):
            changes.record(owner, TO_USER, DeleteSession(SessionId(sid)))
        return "result"

    result = await world.unit_of_work.run(use_case)
    wires = world.sink.wires()

    assert "result" == result
    assert [(1, "a"), (2, "b"), (3, "c")] == [(wire["seq"], wire["body"]["sid"]) for wire in wires]
    assert {world.clock.now} == {wire["createdAt"] for wire in wires}
    assert 3 == len({wire["id"] for wire in wires})
    assert all(len(wire["id"]) == 12 and wire["id"].isalnum() for wire in wires)


async def test_several_accounts_are_numbered_apart(world: World, owner: AccountId) -> None:
    other = await factories.account(world.store)

    async def use_case(changes: Changes) -> None:
        for account_id in (other, owner, other):
            changes.record(account_id, TO_USER, DeleteSession(SID))

    await world.unit_of_work.run(use_case)
    published = [(event.account_id, event.wire["seq"]) for event in world.sink.take()]

    assert sorted(published) == published  # a fixed order of accounts, so that two replicas do not deadlock
    assert {(owner, 1), (other, 1), (other, 2)} == set(published)


async def test_an_update_carries_its_audience_and_skipped_connection(world: World, owner: AccountId) -> None:
    async def use_case(changes: Changes) -> None:
        changes.record(owner, to_session(SID), DeleteSession(SID))

    await world.unit_of_work.run(use_case, skip=ConnectionId("sender"))
    (published,) = world.sink.take()

    assert (owner, to_session(SID), "sender") == (published.account_id, published.audience, published.skip)


async def test_nothing_is_numbered_or_published_when_nothing_is_recorded(
    world: World, owner: AccountId
) -> None:
    async def use_case(_: Changes) -> None:
        return None

    await world.unit_of_work.run(use_case)

    assert [] == world.sink.take()
    assert 0 == await factories.account_seq(world.store, owner)


async def test_a_use_case_that_fails_publishes_nothing_and_keeps_no_number(
    world: World, owner: AccountId
) -> None:
    async def use_case(changes: Changes) -> None:
        changes.record(owner, TO_USER, DeleteSession(SID))
        raise NotFound

    with pytest.raises(NotFound):
        await world.unit_of_work.run(use_case)

    assert [] == world.sink.take()
    assert 0 == await factories.account_seq(world.store, owner)


async def test_a4_an_update_that_could_not_be_numbered_ended_the_process(
    world: World, owner: AccountId
) -> None:
    session = factories.some_session(owner)

    async def use_case(changes: Changes) -> None:
        assert await changes.tx.sessions.add(session)
        changes.record(NOBODY, TO_USER, DeleteSession(SID))

    with pytest.raises(NotFound):
        await world.unit_of_work.run(use_case)

    assert [] == world.sink.take()
    assert None is await world.sessions.get(owner, session.id)


async def test_an_unavailable_store_is_raised_to_the_caller(
    world: World, owner: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(_: object) -> None:
        raise Unavailable

    monkeypatch.setattr(world.store, "write", unavailable)
    with pytest.raises(Unavailable):
        await world.sessions.load_or_create(owner, "tag", "metadata", None)

    assert [] == world.sink.take()


async def test_updates_of_one_account_are_published_in_the_order_of_their_numbers(
    world: World, owner: AccountId
) -> None:
    session = await factories.session(world.store, owner)

    async def mixed(number: int) -> None:
        if number % 2:
            await world.messages.append(owner, session.id, [(None, encrypted_content(str(number)))] * 3)
        else:
            await world.sessions.load_or_create(owner, str(number), "metadata", None)

    await asyncio.gather(*(mixed(number) for number in range(40)))
    events = [published.event for published in world.sink.take()]
    updates = [event for event in events if isinstance(event, Update)]
    messages = [update.body.message.seq for update in updates if isinstance(update.body, NewMessage)]

    assert list(range(1, 81)) == [update.seq for update in updates]
    assert list(range(1, 61)) == messages


async def test_begin_commit_comes_before_the_commit(world: World, owner: AccountId) -> None:
    async def use_case(changes: Changes) -> None:
        changes.record(owner, TO_USER, DeleteSession(SID))

    await world.unit_of_work.run(use_case)

    assert ([owner], [owner], []) == (world.sink.begun, world.sink.ended, world.sink.in_doubt_accounts)


@pytest.mark.parametrize("error", [CommitInDoubt, asyncio.CancelledError])
async def test_an_in_doubt_commit_resyncs_clients(
    world: World, owner: AccountId, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    write = world.store.write

    async def cut(body: Any) -> None:
        await write(body)
        raise error

    async def use_case(changes: Changes) -> None:
        changes.record(owner, TO_USER, DeleteSession(SID))

    monkeypatch.setattr(world.store, "write", cut)
    with pytest.raises(error):
        await world.unit_of_work.run(use_case)

    assert [owner] == world.sink.in_doubt_accounts == world.sink.ended
    assert [] == world.sink.take()
