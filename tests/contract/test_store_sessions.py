"""The repository of sessions."""

import asyncio
from functools import partial

import msgspec
import pytest

from happy.domain.errors import NotFound
from happy.domain.ports.store import Store, Transaction
from happy.domain.sessions import Session
from happy.domain.values import HOUR, AccountId, Millis, SessionId, Swap, Versioned
from tests.support import factories
from tests.support.factories import NOBODY, NOW

UNKNOWN = SessionId("unknown")
LATER = Millis(NOW + 60_000)


# -- make and find ---------------------------------------------------------------------------------------


async def test_a_session_is_read_as_it_was_stored(store: Store) -> None:
    owner = await factories.account(store)
    full = await factories.session(
        store, owner, metadata="", agent_state="busy", data_encryption_key=b"\0\xff", active=False
    )
    bare = await factories.session(store, owner)

    assert full == await factories.stored_session(store, owner, full.id)
    assert bare == await store.read(lambda tx: tx.sessions.by_tag(owner, bare.tag))


async def test_a_session_that_does_not_exist_is_none(store: Store) -> None:
    owner = await factories.account(store)

    assert None is await store.read(lambda tx: tx.sessions.get(owner, UNKNOWN))
    assert None is await store.read(lambda tx: tx.sessions.by_tag(owner, "unknown"))


async def test_a_session_belongs_to_one_account(store: Store) -> None:
    owner, stranger = await factories.account(store), await factories.account(store)
    session = await factories.session(store, owner)

    assert None is await store.read(lambda tx: tx.sessions.get(stranger, session.id))
    assert None is await store.read(lambda tx: tx.sessions.by_tag(stranger, session.tag))
    assert [] == await store.read(lambda tx: tx.sessions.recent(stranger, 10))


async def test_a_tag_is_taken_once_per_account(store: Store) -> None:
    one, other = await factories.account(store), await factories.account(store)
    first = await factories.session(store, one, tag="tag")

    assert not await store.write(lambda tx: tx.sessions.add(factories.some_session(one, "tag")))
    assert await store.write(lambda tx: tx.sessions.add(factories.some_session(other, "tag")))
    assert first == await store.read(lambda tx: tx.sessions.by_tag(one, "tag"))


async def _add(tx: Transaction, session: Session) -> bool:
    return await tx.sessions.add(session)


async def test_of_many_sessions_with_one_tag_at_once_one_is_stored(store: Store) -> None:
    owner = await factories.account(store)
    fresh = [factories.some_session(owner, "tag") for _ in range(16)]
    added = await asyncio.gather(*(store.write(partial(_add, session=session)) for session in fresh))
    stored = await store.read(lambda tx: tx.sessions.by_tag(owner, "tag"))

    assert [stored] == [session for session, won in zip(fresh, added, strict=True) if won]


# -- lists -----------------------------------------------------------------------------------------------


async def make_many(store: Store, owner: AccountId) -> list[Session]:
    """Five sessions, each updated and seen a second after the one before it."""
    return [
        await factories.session(
            store,
            owner,
            updated_at=Millis(NOW + 1_000 * step),
            last_active_at=Millis(NOW + 1_000 * step),
            active=step != 2,
        )
        for step in range(5)
    ]


async def test_recent_sessions_come_the_last_updated_first(store: Store) -> None:
    owner = await factories.account(store)
    made = await make_many(store, owner)

    assert made[:1:-1] == await store.read(lambda tx: tx.sessions.recent(owner, 3))


async def test_active_sessions_were_seen_after_a_moment(store: Store) -> None:
    owner = await factories.account(store)
    made = await make_many(store, owner)
    since = Millis(NOW + 1_000)

    assert [made[4], made[3]] == await store.read(lambda tx: tx.sessions.active(owner, since, 10))
    assert [made[4]] == await store.read(lambda tx: tx.sessions.active(owner, since, 1))


async def test_pages_descend_by_id_and_end(store: Store) -> None:
    owner = await factories.account(store)
    ids = sorted(session.id for session in await make_many(store, owner))
    await make_many(store, await factories.account(store))

    async def page(before: SessionId | None) -> list[SessionId]:
        rows = await store.read(lambda tx: tx.sessions.page(owner, before, None, 2))
        return [session.id for session in factories.whole(rows)]

    assert [ids[4], ids[3]] == await page(None)
    assert [ids[2], ids[1]] == await page(ids[3])
    assert [ids[0]] == await page(ids[1])
    assert [] == await page(ids[0])


async def test_pages_can_be_limited_to_what_has_changed(store: Store) -> None:
    owner = await factories.account(store)
    made = await make_many(store, owner)
    since = Millis(NOW + 3_000)

    assert [made[4]] == await store.read(lambda tx: tx.sessions.page(owner, None, since, 10))


@pytest.mark.parametrize("few", [1, 500])
async def test_pages_of_many_changed_sessions_are_those_of_few(
    store: Store, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("happy.adapters.sql.sessions.FEW", few)
    owner = await factories.account(store)
    made = sorted([(await factories.session(store, owner)).id for _ in range(5)], reverse=True)
    since = Millis(NOW - 1)

    async def page(before: SessionId | None) -> list[SessionId]:
        rows = await store.read(lambda tx: tx.sessions.page(owner, before, since, 2))
        return [row.id for row in factories.whole(rows)]

    assert made[:2] == await page(None)
    assert made[2:4] == await page(made[1])
    assert made[4:] == await page(made[3])


# -- compare and set -------------------------------------------------------------------------------------


async def swap_metadata(
    store: Store, owner: AccountId, session_id: SessionId, expected: int, value: str
) -> Swap[str]:
    return await store.write(lambda tx: tx.sessions.swap_metadata(owner, session_id, expected, value, LATER))


async def swap_state(
    store: Store, owner: AccountId, session_id: SessionId, expected: int, value: str | None
) -> Swap[str | None]:
    return await store.write(
        lambda tx: tx.sessions.swap_agent_state(owner, session_id, expected, value, LATER)
    )


async def test_metadata_is_replaced_when_its_version_matches(store: Store) -> None:
    owner = await factories.account(store)
    session = await factories.session(store, owner)
    outcome = await swap_metadata(store, owner, session.id, 0, "new")

    assert Swap(won=True, current=Versioned("new", 1)) == outcome
    assert msgspec.structs.replace(
        session, metadata="new", metadata_version=1, updated_at=LATER
    ) == await factories.stored_session(store, owner, session.id)


async def test_the_agent_state_can_be_set_and_cleared(store: Store) -> None:
    owner = await factories.account(store)
    session = await factories.session(store, owner)
    first = await swap_state(store, owner, session.id, 0, "busy")
    cleared = await swap_state(store, owner, session.id, 1, None)

    assert Swap(won=True, current=Versioned("busy", 1)) == first
    assert Swap(won=True, current=Versioned(None, 2)) == cleared
    assert msgspec.structs.replace(
        session, agent_state_version=2, updated_at=LATER
    ) == await factories.stored_session(store, owner, session.id)


@pytest.mark.parametrize("expected", [-1, 1, 2**31 - 1])
async def test_another_version_changes_nothing_and_brings_what_is_stored(store: Store, expected: int) -> None:
    owner = await factories.account(store)
    session = await factories.session(store, owner, agent_state="idle")

    assert Swap(won=False, current=Versioned("metadata", 0)) == await swap_metadata(
        store, owner, session.id, expected, "late"
    )
    assert Swap(won=False, current=Versioned("idle", 0)) == await swap_state(
        store, owner, session.id, expected, "late"
    )
    assert session == await factories.stored_session(store, owner, session.id)


async def test_a_foreign_or_unknown_session_cannot_be_changed(store: Store) -> None:
    owner, stranger = await factories.account(store), await factories.account(store)
    session = await factories.session(store, owner)

    for account_id, session_id in ((stranger, session.id), (owner, UNKNOWN), (NOBODY, session.id)):
        with pytest.raises(NotFound):
            await swap_metadata(store, account_id, session_id, 0, "foreign")
        with pytest.raises(NotFound):
            await swap_state(store, account_id, session_id, 0, "foreign")
    assert session == await factories.stored_session(store, owner, session.id)


async def test_of_many_writers_that_expect_one_version_one_wins(store: Store) -> None:
    owner = await factories.account(store)
    session = await factories.session(store, owner)
    outcomes = await asyncio.gather(
        *(swap_metadata(store, owner, session.id, 0, str(number)) for number in range(16))
    )
    (won,) = [outcome.current for outcome in outcomes if outcome.won]

    assert {won} == {outcome.current for outcome in outcomes}


# -- presence --------------------------------------------------------------------------------------------


async def beat(store: Store, session: Session, at: int, received: int = LATER) -> Session:
    seen = [(session.id, Millis(at), Millis(received))]
    await store.write(lambda tx: tx.sessions.mark_active(seen, LATER))
    return await factories.stored_session(store, session.account_id, session.id)


async def test_a_heartbeat_moves_the_last_active_time_and_activates(store: Store) -> None:
    session = await factories.session(store, await factories.account(store), active=False)

    assert msgspec.structs.replace(session, active=True, last_active_at=NOW + 1) == await beat(
        store, session, NOW + 1
    )


@pytest.mark.parametrize("at", [NOW - 1, NOW])
async def test_a_heartbeat_that_is_not_newer_activates_but_does_not_move_the_time_back(
    store: Store, at: int
) -> None:
    owner = await factories.account(store)
    active, inactive = [await factories.session(store, owner, active=active) for active in (True, False)]
    revived = await beat(store, inactive, at)

    assert active == await beat(store, active, at)
    assert (True, NOW) == (revived.active, revived.last_active_at)


async def test_what_was_received_before_a_session_was_stopped_does_not_revive_it(store: Store) -> None:
    session = await factories.session(store, await factories.account(store))
    stopped_at = Millis(NOW + 5_000)
    await store.write(
        lambda tx: tx.sessions.mark_stopped(session.account_id, session.id, Millis(NOW - 60_000), stopped_at)
    )
    late = [(await beat(store, session, at, NOW + 4_999)).active for at in (NOW - 50_000, NOW + 4_999)]
    revived = await beat(store, session, NOW - 40_000, NOW + 5_001)

    assert [False, False] == late
    assert (True, NOW - 40_000) == (revived.active, revived.last_active_at)


async def test_times_from_before_the_clock_was_set_back_do_not_hold_a_session_still(store: Store) -> None:
    session = await factories.session(store, await factories.account(store))
    ahead = Millis(LATER + 2 * HOUR)
    await store.write(lambda tx: tx.sessions.mark_active([(session.id, ahead, ahead)], ahead))
    assert LATER == (await beat(store, session, LATER)).last_active_at

    await store.write(lambda tx: tx.sessions.mark_stopped(session.account_id, session.id, ahead, ahead))
    revived = await beat(store, session, LATER)
    assert (True, LATER) == (revived.active, revived.last_active_at)


async def test_many_heartbeats_are_recorded_at_once_and_unknown_ones_do_no_harm(store: Store) -> None:
    owner = await factories.account(store)
    made = [await factories.session(store, owner) for _ in range(3)]
    seen = [(session.id, Millis(NOW + number), NOW) for number, session in enumerate(made)]
    await store.write(lambda tx: tx.sessions.mark_active([(UNKNOWN, NOW, NOW), *seen], LATER))
    await store.write(lambda tx: tx.sessions.mark_active([], LATER))

    stored = [await factories.stored_session(store, owner, session.id) for session in made]
    assert [NOW, NOW + 1, NOW + 2] == [session.last_active_at for session in stored]


async def test_a_stopped_session_is_inactive_since_then(store: Store) -> None:
    owner, stranger = await factories.account(store), await factories.account(store)
    session = await factories.session(store, owner)

    async def stop(who: AccountId, what: SessionId) -> bool:
        return await store.write(lambda tx: tx.sessions.mark_stopped(who, what, LATER, LATER))

    stops = [
        await stop(stranger, session.id),
        await stop(owner, UNKNOWN),
        await stop(owner, session.id),
        await stop(owner, session.id),
    ]

    assert [False, False, True, True] == stops
    assert msgspec.structs.replace(
        session, active=False, last_active_at=LATER
    ) == await factories.stored_session(store, owner, session.id)


async def test_silent_sessions_are_deactivated_in_batches_and_each_is_reported_once(store: Store) -> None:
    owners = [await factories.account(store) for _ in range(2)]
    made = [
        await factories.session(store, owners[number % 2], last_active_at=Millis(NOW - number))
        for number in range(5)
    ]
    deadline = Millis(NOW - 1)
    batches = [await store.write(lambda tx: tx.sessions.mark_idle(deadline, 3)) for _ in range(3)]

    assert [3, 1, 0] == [len(batch) for batch in batches]
    assert {(session.account_id, session.id, session.last_active_at) for session in made[1:]} == {
        row for batch in batches for row in batch
    }
    kept = [await factories.stored_session(store, session.account_id, session.id) for session in made]
    assert [True, False, False, False, False] == [session.active for session in kept]
    assert {NOW} == {session.updated_at for session in kept}


# -- delete ----------------------------------------------------------------------------------------------


async def test_a_session_is_deleted_with_its_messages(store: Store) -> None:
    owner = await factories.account(store)
    session, other = await factories.session(store, owner), await factories.session(store, owner)
    for target in (session, other):
        await store.messages.append(owner, target.id, [factories.draft()], NOW)
    deleted = await store.write(lambda tx: tx.sessions.delete(owner, session.id, NOW))

    assert deleted
    assert None is await store.read(lambda tx: tx.sessions.get(owner, session.id))
    assert 1 == len(await store.messages.after(owner, other.id, 0, 10))
    assert not await store.write(lambda tx: tx.sessions.delete(owner, session.id, NOW))


async def test_a_foreign_session_is_not_deleted(store: Store) -> None:
    owner, stranger = await factories.account(store), await factories.account(store)
    session = await factories.session(store, owner)
    await store.messages.append(owner, session.id, [factories.draft()], NOW)

    assert not await store.write(lambda tx: tx.sessions.delete(stranger, session.id, NOW))
    assert 1 == len(await store.messages.after(owner, session.id, 0, 10))
