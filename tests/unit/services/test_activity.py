"""Who is announced alive or gone, and what is written down of it.

protocol: realtime#connection-lifecycle-side-effects, realtime#presence
"""

from typing import Any

import pytest

from happy.domain.errors import NotFound, Unavailable
from happy.domain.events import TO_USER
from happy.domain.sessions import Session
from happy.domain.values import AccountId, ConnectionId, MachineId, Millis, SessionId
from tests.support import factories
from tests.support.factories import NOW
from tests.unit.services.world import World


async def connected(world: World, owner: AccountId, machine_id: MachineId, connection: str = "1") -> None:
    await world.activity.machine_connected(owner, machine_id, ConnectionId(connection))


async def gone(world: World, connection: str = "1") -> None:
    """The connection has closed, and its grace period is over."""
    world.activity.disconnected(ConnectionId(connection))
    await world.attendance.drain()


async def beat(world: World, session: Session, **fields: Any) -> None:
    at = fields.pop("at", world.clock.now)
    await world.activity.session_alive(
        session.account_id, session.id, Millis(at), **{"thinking": False, **fields}
    )


async def stored(world: World, session: Session) -> tuple[int, bool]:
    row = await factories.stored_session(world.store, session.account_id, session.id)
    return row.last_active_at, row.active


# -- heartbeats of sessions --------------------------------------------------------------------------------


async def test_every_heartbeat_is_announced_to_the_user(world: World, owner: AccountId) -> None:
    session = await factories.session(world.store, owner)
    for thinking in (True, False):
        world.clock.advance(seconds=2)
        await beat(world, session, thinking=thinking)
    published = world.sink.take()

    assert [
        {"type": "activity", "id": session.id, "active": True, "activeAt": NOW + at, "thinking": thinking}
        for at, thinking in ((2_000, True), (4_000, False))
    ] == [event.wire for event in published]
    assert [(owner, TO_USER, None)] * 2 == [(e.account_id, e.audience, e.skip) for e in published]


async def test_a_heartbeat_of_a_known_row_is_announced_without_waiting(
    world: World, owner: AccountId
) -> None:
    """Each one was a task of its own, and its connection was not read meanwhile."""
    session, machine = (
        await factories.session(world.store, owner),
        await factories.machine(world.store, owner),
    )
    before = (
        world.activity.known_session_alive(owner, session.id, NOW, thinking=False),
        world.activity.known_machine_alive(owner, machine.id, NOW),
    )
    await beat(world, session)
    await world.activity.machine_alive(owner, machine.id, NOW)
    world.sink.take()
    after = (
        world.activity.known_session_alive(owner, session.id, NOW, thinking=True),
        world.activity.known_machine_alive(owner, machine.id, NOW),
    )

    assert ((False, False), (True, True)) == (before, after)
    assert ["activity", "machine-activity"] == [wire["type"] for wire in world.sink.wires()]


async def test_a_heartbeat_from_the_future_or_a_slow_clock_counts_as_now(
    world: World, owner: AccountId
) -> None:
    session = await factories.session(world.store, owner)
    for at in (NOW + 60_000, NOW - 11 * 60_000, 0):
        await beat(world, session, at=at)

    assert [NOW] * 3 == [wire["activeAt"] for wire in world.sink.wires()]


async def test_a_heartbeat_of_an_unknown_or_foreign_session_is_ignored(
    world: World, owner: AccountId
) -> None:
    session = await factories.session(world.store, owner)
    stranger = await factories.account(world.store)
    await world.activity.session_alive(stranger, session.id, NOW, thinking=False)
    await world.activity.session_alive(owner, SessionId("unknown"), NOW, thinking=False)

    assert [] == world.sink.take()


async def test_heartbeats_are_written_by_the_flush(world: World, owner: AccountId) -> None:
    session = await factories.session(world.store, owner)
    at = world.clock.advance(seconds=31)
    await beat(world, session)
    before = await stored(world, session)
    await world.activity.flush()

    assert (NOW, True) == before
    assert (at, True) == await stored(world, session)


async def test_e1_a_restarted_session_stayed_inactive(world: World, owner: AccountId) -> None:
    session = await factories.session(world.store, owner, active=False)
    world.clock.advance(seconds=1)
    await beat(world, session)
    await world.activity.flush()

    assert (NOW + 1_000, True) == await stored(world, session)


async def test_e2_a_back_dated_heartbeat_moved_the_last_active_time_backwards(
    world: World, owner: AccountId
) -> None:
    session = await factories.session(world.store, owner)
    await beat(world, session, at=NOW - 5 * 60_000)
    await world.activity.flush()

    assert (NOW, True) == await stored(world, session)


async def test_e4_a_flush_that_failed_was_not_repeated(
    world: World, owner: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await factories.session(world.store, owner)
    machine = await factories.machine(world.store, owner)
    at = world.clock.advance(minutes=1)
    await beat(world, session)
    await world.activity.machine_alive(owner, machine.id, at)
    with monkeypatch.context() as broken:
        broken.setattr(world.store, "write", unavailable)
        with pytest.raises(Unavailable):
            await world.activity.flush()
    await world.activity.flush()

    assert (at, True) == await stored(world, session)
    assert at == (await factories.stored_machine(world.store, owner, machine.id)).last_active_at


async def test_many_heartbeats_are_written_in_small_transactions_none_of_which_is_lost(
    world: World, owner: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("happy.services.activity.MAX_ROWS", 2)
    sessions = [await factories.session(world.store, owner) for _ in range(5)]
    at = world.clock.advance(minutes=1)
    for session in sessions:
        await beat(world, session)
    write, transactions = world.store.write, 0

    async def second_fails(body: Any) -> Any:
        nonlocal transactions
        transactions += 1
        return await (unavailable(body) if transactions == 2 else write(body))

    monkeypatch.setattr(world.store, "write", second_fails)
    with pytest.raises(Unavailable):
        await world.activity.flush()
    assert [True] * 2 + [False] * 3 == [(await stored(world, each))[0] == at for each in sessions]
    await world.activity.flush()

    assert [(at, True)] * 5 == [await stored(world, each) for each in sessions]
    assert 2 + 2 == transactions


async def unavailable(_: object) -> None:
    raise Unavailable


async def test_e4_a_session_that_was_gone_hid_the_others(world: World, owner: AccountId) -> None:
    gone, kept = await factories.session(world.store, owner), await factories.session(world.store, owner)
    at = world.clock.advance(minutes=1)
    await beat(world, gone)
    await beat(world, kept)
    await world.store.write(lambda tx: tx.sessions.delete(owner, gone.id, NOW))
    await world.activity.flush()

    assert (at, True) == await stored(world, kept)


# -- suppression after a stop ------------------------------------------------------------------------------


async def test_heartbeats_of_a_stopped_session_are_ignored_for_a_minute(
    world: World, owner: AccountId
) -> None:
    session = await factories.session(world.store, owner)
    await world.sessions.archive(owner, session.id)
    world.sink.take()
    world.clock.advance(seconds=59.999)
    await beat(world, session)
    silent = world.sink.take()
    world.clock.advance(seconds=0.001)
    await beat(world, session)

    assert [] == silent
    assert 1 == len(world.sink.take())


async def test_a_clock_that_is_set_back_does_not_mute_a_session_for_hours(
    world: World, owner: AccountId
) -> None:
    session = await factories.session(world.store, owner)
    await world.sessions.archive(owner, session.id)
    world.sink.take()
    world.clock.advance(minutes=-120)
    await beat(world, session)
    await world.activity.flush()

    assert 1 == len(world.sink.take())
    assert (world.clock.now, True) == await stored(world, session)
    await world.activity.purge()
    assert {} == world.activity._suppressed


async def test_what_waited_to_be_written_does_not_revive_a_stopped_session(
    world: World, owner: AccountId
) -> None:
    session = await factories.session(world.store, owner)
    world.clock.advance(minutes=1)
    await beat(world, session)
    await world.sessions.archive(owner, session.id)
    await world.activity.flush()

    assert (world.clock.now, False) == await stored(world, session)


async def test_e6_a_late_flush_of_another_replica_revived_a_stopped_session(
    world: World, owner: AccountId
) -> None:
    elsewhere = World(world.store)
    elsewhere.clock = world.clock
    session = await factories.session(world.store, owner)
    world.clock.advance(minutes=1)
    elsewhere.activity._clock = elsewhere.activity._sessions._clock = world.clock
    await beat(elsewhere, session)
    await world.sessions.archive(owner, session.id)
    await elsewhere.activity.flush()

    assert (world.clock.now, False) == await stored(world, session)


async def test_b5_another_account_could_suppress_heartbeats_of_a_session(
    world: World, owner: AccountId
) -> None:
    session = await factories.session(world.store, owner)
    stranger = await factories.account(world.store)
    for stop in (world.sessions.archive, world.sessions.delete):
        with pytest.raises(NotFound):
            await stop(stranger, session.id)
    await beat(world, session)

    assert 1 == len(world.sink.take())
    assert {} == world.activity._suppressed


async def test_loading_a_session_by_its_tag_ends_its_suppression(world: World, owner: AccountId) -> None:
    session = await factories.session(world.store, owner, tag="tag")
    await world.sessions.archive(owner, session.id)
    await world.sessions.load_or_create(owner, "tag", "ignored", None)
    world.sink.take()
    world.clock.advance(seconds=1)
    await beat(world, session)
    await world.activity.flush()

    assert 1 == len(world.sink.take())
    assert (world.clock.now, True) == await stored(world, session)


async def test_a_session_that_writes_has_been_resumed(world: World, owner: AccountId) -> None:
    # `resume-happy-session` does not load it first (protocol: clients#rules-a-server-must-respect).
    for write in (
        lambda sid, version: world.sessions.update_metadata(owner, sid, version, "m"),
        lambda sid, version: world.sessions.update_agent_state(owner, sid, version, "s"),
    ):
        session = await factories.session(world.store, owner)
        await world.sessions.archive(owner, session.id)
        await write(session.id, 9)  # loses, says nothing
        world.sink.take()
        await beat(world, session)
        assert [] == world.sink.take()
        await write(session.id, 0)
        world.sink.take()
        await beat(world, session)
        assert 1 == len(world.sink.take())


async def test_a_purge_evicts_expired_suppressions(world: World, owner: AccountId) -> None:
    session = await factories.session(world.store, owner)
    await world.sessions.archive(owner, session.id)
    await world.activity.purge()
    kept = dict(world.activity._suppressed)
    world.clock.advance(minutes=1)
    await world.activity.purge()

    assert [(owner, session.id)] == list(kept)
    assert {} == world.activity._suppressed


# -- silence -----------------------------------------------------------------------------------------------


async def test_sessions_and_machines_time_out_after_ten_silent_minutes(
    world: World, owner: AccountId
) -> None:
    session = await factories.session(world.store, owner)
    machine = await factories.machine(world.store, owner, active=True)
    fresh = await factories.session(world.store, owner, last_active_at=Millis(NOW + 1))
    world.clock.advance(minutes=10)
    await world.departures.expire()
    published = world.sink.take()
    await world.departures.expire()

    assert [
        {"type": "activity", "id": session.id, "active": False, "activeAt": NOW, "thinking": False},
        {"type": "machine-activity", "id": machine.id, "active": False, "activeAt": NOW},
    ] == [event.wire for event in published]
    assert [(owner, TO_USER)] * 2 == [(event.account_id, event.audience) for event in published]
    assert [] == world.sink.take()
    assert (NOW + 1, True) == await stored(world, fresh)


async def test_a11_all_silent_sessions_were_loaded_at_once(
    world: World, owner: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("happy.services.departures.IDLE_BATCH", 4)
    for _ in range(9):
        await factories.session(world.store, owner)
    world.clock.advance(minutes=11)
    await world.departures.expire()

    assert 9 == len({event.wire["id"] for event in world.sink.take()})


async def test_e5_a_session_with_a_queued_heartbeat_timed_out(world: World, owner: AccountId) -> None:
    session = await factories.session(world.store, owner)
    machine = await factories.machine(world.store, owner, active=True)
    at = world.clock.advance(minutes=11)
    await beat(world, session)
    await world.activity.machine_alive(owner, machine.id, at)
    world.sink.take()
    await world.departures.expire()

    assert [] == world.sink.take()
    assert (at, True) == await stored(world, session)


async def test_a_heartbeat_after_the_timeout_makes_a_session_active_again(
    world: World, owner: AccountId
) -> None:
    session = await factories.session(world.store, owner)
    world.clock.advance(minutes=10)
    await beat(world, session, at=NOW)  # known, and as old as what is stored
    await world.departures.expire()
    world.clock.advance(seconds=1)
    await beat(world, session)
    await world.activity.flush()

    assert (world.clock.now, True) == await stored(world, session)


# -- machines ----------------------------------------------------------------------------------------------


def online(machine_id: str, *, active: bool, at: int = NOW) -> dict[str, Any]:
    return {"type": "machine-activity", "id": machine_id, "active": active, "activeAt": at}


async def test_a_machine_is_online_while_it_is_connected(world: World, owner: AccountId) -> None:
    machine = await factories.machine(world.store, owner)
    at = world.clock.advance(seconds=5)
    await connected(world, owner, machine.id)
    await world.activity.flush()
    while_connected = await factories.stored_machine(world.store, owner, machine.id)
    world.clock.advance(seconds=5)
    await gone(world)
    afterwards = await factories.stored_machine(world.store, owner, machine.id)

    assert [True, False] == [stored_machine.active for stored_machine in (while_connected, afterwards)]
    assert [online(machine.id, active=active, at=at) for active in (True, False)] == world.sink.wires()
    assert at == afterwards.last_active_at


async def test_e7_closing_the_first_of_several_connections_ended_the_machine(
    world: World, owner: AccountId
) -> None:
    machine = await factories.machine(world.store, owner)
    for connection in ("old", "new"):
        await connected(world, owner, machine.id, connection)
    world.sink.take()
    await gone(world, "old")
    meanwhile = world.sink.wires()
    await gone(world, "new")

    assert [] == meanwhile
    assert [online(machine.id, active=False)] == world.sink.wires()


async def test_e7_a_late_close_of_an_old_connection_ended_the_reconnected_machine(
    world: World, owner: AccountId
) -> None:
    machine = await factories.machine(world.store, owner)
    await connected(world, owner, machine.id, "old")
    world.activity.disconnected(ConnectionId("old"))
    await connected(world, owner, machine.id, "new")
    await world.attendance.drain()
    await world.activity.flush()

    assert [True, True] == [wire["active"] for wire in world.sink.wires()]
    assert (await factories.stored_machine(world.store, owner, machine.id)).active


async def test_b15_an_invented_machine_was_announced(world: World, owner: AccountId) -> None:
    foreign = await factories.machine(world.store, await factories.account(world.store))
    for machine_id in (MachineId("invented"), foreign.id):
        await connected(world, owner, machine_id, "1")
        await world.activity.machine_alive(owner, machine_id, NOW)
        await gone(world, "1")

    assert [] == world.sink.take()


async def test_e9_a_deleted_machine_went_on_being_announced(world: World, owner: AccountId) -> None:
    machine = await factories.machine(world.store, owner)
    await connected(world, owner, machine.id, "1")
    await world.activity.machine_alive(owner, machine.id, NOW)
    await world.machines.delete(owner, machine.id)
    world.sink.take()
    await world.activity.machine_alive(owner, machine.id, NOW)
    await gone(world, "1")

    assert [] == world.sink.take()


async def test_a_heartbeat_of_a_machine_whose_clock_is_behind_makes_it_active(
    world: World, owner: AccountId
) -> None:
    machine = await factories.machine(world.store, owner)
    await world.activity.machine_alive(owner, machine.id, Millis(NOW - 60_000))
    await world.activity.flush()
    stored_machine = await factories.stored_machine(world.store, owner, machine.id)

    assert (True, NOW) == (stored_machine.active, stored_machine.last_active_at)
