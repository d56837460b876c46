"""Use cases on sessions and machines, and the events they cause (protocol: http#sessions, http#machines)."""

import asyncio
from typing import Any

import pytest

from happy.domain.errors import Conflict, NotFound
from happy.domain.events import TO_USER, to_machine, to_session
from happy.domain.sessions import encrypted_content
from happy.domain.values import AccountId, MachineId, Millis, SessionId
from tests.support import factories
from tests.support.factories import NOW
from tests.unit.services.world import World

UNKNOWN = SessionId("unknown")
MID = MachineId("machine")


# -- sessions ----------------------------------------------------------------------------------------------


async def test_a_new_session_is_announced_as_it_was_stored(world: World, owner: AccountId) -> None:
    session = await world.sessions.load_or_create(owner, "tag", "metadata", b"key")
    (published,) = world.sink.take()

    assert session == await world.sessions.get(owner, session.id)
    assert (owner, TO_USER) == (published.account_id, published.audience)
    assert (1, "new-session", session.id, "a2V5", None) == (
        published.wire["seq"],
        *(published.wire["body"][name] for name in ("t", "id", "dataEncryptionKey", "agentState")),
    )
    assert (0, 0, 0, True, NOW) == (
        session.seq,
        session.metadata_version,
        session.agent_state_version,
        session.active,
        session.last_active_at,
    )


async def test_a_session_that_exists_is_returned_unchanged_and_not_announced(
    world: World, owner: AccountId
) -> None:
    first = await world.sessions.load_or_create(owner, "tag", "metadata", None)
    world.sink.take()
    world.clock.advance(minutes=1)

    assert first == await world.sessions.load_or_create(owner, "tag", "other", b"other")
    assert [] == world.sink.take()
    assert 1 == await factories.account_seq(world.store, owner)


async def test_c15_the_losers_of_parallel_first_calls_failed(world: World, owner: AccountId) -> None:
    sessions = await asyncio.gather(
        *(world.sessions.load_or_create(owner, "tag", str(number), None) for number in range(16))
    )

    assert all(session == sessions[0] for session in sessions)
    assert 1 == len(world.sink.take())
    assert 1 == await factories.account_seq(world.store, owner)


async def test_pages_say_exactly_whether_there_is_more(world: World, owner: AccountId) -> None:
    for tag in "abc":
        await world.sessions.load_or_create(owner, tag, "metadata", None)
    whole, more = await world.sessions.page(owner, None, None, 3)
    part, more_of_part = await world.sessions.page(owner, None, None, 2)

    assert (3, False, 2, True) == (len(whole), more, len(part), more_of_part)
    assert whole[:2] == part


async def test_active_sessions_are_those_of_the_last_quarter_of_an_hour(
    world: World, owner: AccountId
) -> None:
    await factories.session(world.store, owner)
    fresh = await factories.session(world.store, owner, last_active_at=Millis(NOW + 1))
    world.clock.advance(minutes=15)

    assert [fresh] == await world.sessions.active(owner, 10)


async def test_a_swap_that_won_is_announced_to_the_session(world: World, owner: AccountId) -> None:
    session = await factories.session(world.store, owner)
    await world.sessions.update_metadata(owner, session.id, 0, "m")
    await world.sessions.update_agent_state(owner, session.id, 0, None)
    published = world.sink.take()

    assert [to_session(session.id)] * 2 == [event.audience for event in published]
    assert [
        {"t": "update-session", "id": session.id, "metadata": {"value": "m", "version": 1}},
        {"t": "update-session", "id": session.id, "agentState": {"value": None, "version": 1}},
    ] == [event.wire["body"] for event in published]


async def test_c9_the_loser_of_a_race_got_its_own_value_back(world: World, owner: AccountId) -> None:
    session = await factories.session(world.store, owner)
    outcomes = await asyncio.gather(
        *(world.sessions.update_metadata(owner, session.id, 0, str(number)) for number in range(8))
    )
    (winner,) = [outcome for outcome in outcomes if outcome.won]

    assert {(winner.current.value, 1)} == {(o.current.value, o.current.version) for o in outcomes}
    assert 1 == len(world.sink.take())
    assert 1 == await factories.account_seq(world.store, owner)


async def test_an_unknown_session_cannot_be_touched(world: World, owner: AccountId) -> None:
    for use in (
        world.sessions.update_metadata(owner, UNKNOWN, 0, "m"),
        world.sessions.update_agent_state(owner, UNKNOWN, 0, "s"),
        world.sessions.archive(owner, UNKNOWN),
        world.sessions.stop(owner, UNKNOWN, NOW),
        world.sessions.delete(owner, UNKNOWN),
    ):
        with pytest.raises(NotFound):
            await use
    assert [] == world.sink.take()


async def test_archiving_again_announces_again(world: World, owner: AccountId) -> None:
    session = await factories.session(world.store, owner)
    for _ in range(2):
        at = world.clock.advance(seconds=1)
        await world.sessions.archive(owner, session.id)
        (wire,) = world.sink.wires()
        expected = {"type": "activity", "id": session.id, "active": False, "activeAt": at, "thinking": False}
        assert expected == wire


async def test_a_deleted_session_is_gone_before_its_rows_and_files_are(
    world: World, owner: AccountId
) -> None:
    session = await factories.session(world.store, owner)
    await world.messages.append(owner, session.id, [(None, encrypted_content("secret"))])
    world.sink.take()
    await world.sessions.delete(owner, session.id)
    (published,) = world.sink.take()

    assert {"t": "delete-session", "sid": session.id} == published.wire["body"]
    assert TO_USER == published.audience
    assert [] == world.files.deleted
    assert None is await world.sessions.get(owner, session.id)


# -- machines ----------------------------------------------------------------------------------------------


async def register(world: World, owner: AccountId, **fields: Any) -> Any:
    given = {"metadata": "m", "daemon_state": None, "data_encryption_key": None, **fields}
    return await world.machines.load_or_register(owner, MID, **given)


@pytest.mark.parametrize(
    ("daemon_state", "stored", "version"), [(None, None, 0), ("", None, 0), ("up", "up", 1)]
)
async def test_a_new_machine_is_announced_twice(
    world: World, owner: AccountId, daemon_state: str | None, stored: str | None, version: int
) -> None:
    machine = await register(world, owner, daemon_state=daemon_state)
    published = world.sink.take()

    assert machine == await world.machines.get(owner, MID)
    assert (1, stored, version, False, 0) == (
        machine.metadata_version,
        machine.daemon_state,
        machine.daemon_state_version,
        machine.active,
        machine.seq,
    )
    assert [(1, "new-machine", TO_USER), (2, "update-machine", to_machine(MID))] == [
        (event.wire["seq"], event.wire["body"]["t"], event.audience) for event in published
    ]
    assert {"value": "m", "version": 1} == published[1].wire["body"]["metadata"]


async def test_a_machine_that_exists_is_returned_unchanged(world: World, owner: AccountId) -> None:
    first = await register(world, owner)
    world.sink.take()

    assert first == await register(world, owner, metadata="other", daemon_state="other")
    assert [] == world.sink.take()


async def test_c15_the_losers_of_parallel_registrations_failed(world: World, owner: AccountId) -> None:
    machines = await asyncio.gather(*(register(world, owner, metadata=str(n)) for n in range(8)))

    assert all(machine == machines[0] for machine in machines)
    assert 2 == len(world.sink.take())


async def test_b13_a_machine_of_another_account_was_an_internal_error(world: World, owner: AccountId) -> None:
    await register(world, owner)
    world.sink.take()
    stranger = await factories.account(world.store)
    with pytest.raises(Conflict):
        await register(world, stranger)

    assert [] == world.sink.take()
    assert [] == await world.machines.owned(stranger)


async def test_machine_swaps_that_won_are_announced_to_the_machine(world: World, owner: AccountId) -> None:
    await register(world, owner)
    world.sink.take()
    await world.machines.update_metadata(owner, MID, 1, "new")
    await world.machines.update_daemon_state(owner, MID, 0, "up")
    await world.machines.update_metadata(owner, MID, 1, "late")
    published = world.sink.take()

    assert [to_machine(MID)] * 2 == [event.audience for event in published]
    assert [
        {"t": "update-machine", "machineId": MID, "metadata": {"value": "new", "version": 2}},
        {"t": "update-machine", "machineId": MID, "daemonState": {"value": "up", "version": 1}},
    ] == [event.wire["body"] for event in published]
    assert (await factories.stored_machine(world.store, owner, MID)).active


async def test_an_unknown_machine_cannot_be_touched(world: World, owner: AccountId) -> None:
    for use in (
        world.machines.update_metadata(owner, MID, 0, "m"),
        world.machines.update_daemon_state(owner, MID, 0, "s"),
        world.machines.delete(owner, MID),
    ):
        with pytest.raises(NotFound):
            await use
    assert [] == world.sink.take()


async def test_a_deleted_machine_is_announced(world: World, owner: AccountId) -> None:
    await register(world, owner)
    world.sink.take()
    await world.machines.delete(owner, MID)
    (published,) = world.sink.take()

    assert ({"t": "delete-machine", "machineId": MID}, TO_USER) == (
        published.wire["body"],
        published.audience,
    )
    assert None is await world.machines.get(owner, MID)
