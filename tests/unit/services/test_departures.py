"""Sessions and machines end some seconds after their last connection, in the store as for clients."""

import asyncio
from typing import Any

import pytest

from happy.adapters.memory import MemoryPresence
from happy.domain.errors import CommitInDoubt, Unavailable
from happy.domain.machines import Machine
from happy.domain.ports.presence import Holder
from happy.domain.sessions import Session
from happy.domain.values import AccountId, ConnectionId, MachineId, Millis, ReplicaId, SessionId
from happy.services import attendance, departures
from happy.services.attendance import Attendance, Target
from tests.support import factories
from tests.support.factories import NOW
from tests.unit.services.world import Signals, World

ONE, TWO = ConnectionId("one"), ConnectionId("two")


@pytest.fixture
async def session(world: World, owner: AccountId) -> Session:
    return await factories.session(world.store, owner)


@pytest.fixture
async def machine(world: World, owner: AccountId) -> Machine:
    return await factories.machine(world.store, owner)


@pytest.fixture
def pair(world: World) -> tuple[World, World]:
    """Two replicas on one store."""
    signals, presence = (Signals(), Signals()), MemoryPresence()
    signals[0].other, signals[1].other = signals[1], signals[0]
    one, other = (
        World(world.store, clock=world.clock, presence=presence, signals=each, replica_id=f"{number}")
        for number, each in enumerate(signals)
    )
    return one, other


async def beat(world: World, session: Session) -> None:
    await world.activity.session_alive(session.account_id, session.id, world.clock.now, thinking=True)


async def left(world: World, connection_id: ConnectionId = ONE) -> None:
    world.activity.disconnected(connection_id)
    await world.attendance.drain()


async def is_active(world: World, row: Session | Machine) -> bool:
    if isinstance(row, Session):
        return (await factories.stored_session(world.store, row.account_id, row.id)).active
    return (await factories.stored_machine(world.store, row.account_id, row.id)).active


def ended(world: World) -> list[dict[str, Any]]:
    return [wire for wire in world.sink.wires() if not wire["active"]]


# -- the last connection -----------------------------------------------------------------------------------


async def test_a_session_whose_process_was_killed_ends(world: World, session: Session) -> None:
    world.activity.session_connected(session.account_id, session.id, ONE)
    at = world.clock.advance(seconds=7)
    await beat(world, session)
    world.clock.advance(seconds=3)
    await left(world)

    stored = await factories.stored_session(world.store, session.account_id, session.id)
    assert (False, at) == (stored.active, stored.last_active_at)
    assert [
        {"type": "activity", "id": session.id, "active": False, "activeAt": at, "thinking": False}
    ] == ended(world)


async def test_a_session_that_returns_is_active_with_its_next_heartbeat(
    world: World, session: Session
) -> None:
    for _ in range(2):
        world.activity.session_connected(session.account_id, session.id, ONE)
        world.clock.advance(seconds=2)
        await beat(world, session)
        await world.activity.flush()
        assert await is_active(world, session)
        await left(world)
        assert not await is_active(world, session)


async def test_a_client_whose_clock_is_behind_returns_as_well(world: World, session: Session) -> None:
    behind = 300_000
    for turn in range(1, 4):
        at = Millis(world.clock.advance(seconds=20) - behind)
        world.activity.session_connected(session.account_id, session.id, ONE)
        await world.activity.session_alive(session.account_id, session.id, at, thinking=False)
        await world.activity.flush()
        assert await is_active(world, session), turn
        await left(world)


async def test_a_session_that_has_ended_by_itself_is_not_announced_again(
    world: World, session: Session
) -> None:
    world.activity.session_connected(session.account_id, session.id, ONE)
    await world.sessions.stop(session.account_id, session.id, world.clock.now)
    await left(world)

    assert 1 == len(ended(world))


async def test_what_another_connection_attends_goes_on(world: World, session: Session) -> None:
    world.activity.session_connected(session.account_id, session.id, ONE)
    world.activity.attend(Target(session.account_id, "session", session.id), TWO)  # by a heartbeat
    await left(world, ONE)
    meanwhile = await is_active(world, session)
    await left(world, TWO)

    assert meanwhile
    assert not await is_active(world, session)


async def test_a_reconnect_within_the_grace_period_ends_nothing(
    world: World, session: Session, machine: Machine
) -> None:
    world.activity.session_connected(session.account_id, session.id, ONE)
    await world.activity.machine_connected(machine.account_id, machine.id, TWO)
    await world.activity.flush()
    for connection in (ONE, TWO):
        world.activity.disconnected(connection)
    world.activity.session_connected(session.account_id, session.id, ConnectionId("three"))
    await world.activity.machine_connected(machine.account_id, machine.id, ConnectionId("four"))
    await world.attendance.drain()

    assert [] == ended(world)
    assert await is_active(world, session)
    assert await is_active(world, machine)


async def test_a_connection_of_another_account_ends_nothing(world: World, session: Session) -> None:
    stranger = await factories.account(world.store)
    own = await factories.session(world.store, stranger)
    for session_id, connection in ((session.id, ONE), (own.id, TWO), (SessionId("invented"), ONE)):
        world.activity.session_connected(stranger, session_id, connection)
    world.activity.disconnected(ONE)
    await left(world, TWO)

    assert await is_active(world, session)
    assert [own.id] == [wire["id"] for wire in ended(world)]


async def test_connections_closed_by_a_shutdown_end_nothing(world: World, session: Session) -> None:
    world.activity.session_connected(session.account_id, session.id, ONE)
    await world.activity.stop()
    await left(world)

    assert await is_active(world, session)
    assert [] == world.sink.wires()


async def test_a_stopping_server_ends_machines_that_said_goodbye_but_not_those_that_were_cut_off(
    world: World, session: Session, machine: Machine
) -> None:
    other = await factories.machine(world.store, machine.account_id)
    waiting = World(world.store, clock=world.clock, grace=60)
    waiting.activity.session_connected(session.account_id, session.id, ONE)
    for number, row in enumerate((machine, other)):
        await waiting.activity.machine_connected(row.account_id, row.id, ConnectionId(f"{number}"))
    waiting.activity.disconnected(ONE, goodbye=True)
    waiting.activity.disconnected(ConnectionId("0"), goodbye=True)
    waiting.activity.disconnected(ConnectionId("1"))
    await waiting.activity.flush()
    await waiting.activity.stop()

    assert [machine.id] == [wire["id"] for wire in ended(waiting)]
    assert [True, False, True] == [await is_active(world, row) for row in (session, machine, other)]


async def test_what_cannot_be_written_now_is_found_by_the_sweep(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def unavailable(_: object) -> None:
        raise Unavailable

    monkeypatch.setattr(departures, "RETURN_SECONDS", 0)
    world.activity.session_connected(session.account_id, session.id, ONE)
    with monkeypatch.context() as broken:
        broken.setattr(world.store, "write", unavailable)
        await left(world)
    assert await is_active(world, session)
    world.clock.advance(minutes=1)
    await world.departures.sweep()

    assert not await is_active(world, session)
    assert "remain active" in caplog.text


# -- several replicas --------------------------------------------------------------------------------------


async def test_a_session_that_moved_to_another_replica_does_not_end(
    pair: tuple[World, World], session: Session, machine: Machine
) -> None:
    one, other = pair
    one.activity.session_connected(session.account_id, session.id, ONE)
    await one.activity.machine_connected(machine.account_id, machine.id, TWO)
    await one.activity.flush()
    other.activity.session_connected(session.account_id, session.id, ONE)
    await other.activity.machine_connected(machine.account_id, machine.id, TWO)
    for connection in (ONE, TWO):
        await left(one, connection)

    assert [] == ended(one)
    assert await is_active(one, session)
    assert await is_active(one, machine)


async def test_a_replica_that_knew_a_session_as_active_writes_its_return_down(
    pair: tuple[World, World], session: Session
) -> None:
    one, other = pair
    await beat(other, session)  # known there for half a minute
    one.activity.session_connected(session.account_id, session.id, ONE)
    await left(one)
    one.clock.advance(seconds=1)
    await beat(other, session)
    await other.activity.flush()

    assert await is_active(one, session)


async def test_a_machine_that_returns_while_another_replica_ends_it_is_online_again(
    pair: tuple[World, World], machine: Machine
) -> None:
    one, other = pair
    await one.activity.machine_connected(machine.account_id, machine.id, ONE)
    await one.activity.flush()
    target = Target(machine.account_id, "machine", machine.id)
    other.attendance._note(target, TWO)  # it arrives when the replica has just asked for its claims
    await one.departures.end([target])
    await asyncio.gather(*other.departures._returning)
    await other.activity.flush()

    assert [True] == [wire["active"] for wire in other.sink.wires()]
    assert await is_active(one, machine)


async def test_a_machine_that_returns_is_stored_before_it_is_announced(
    pair: tuple[World, World], owner: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An app that started between the two drew it offline until its next heartbeat."""
    one, other = pair
    machine = await factories.machine(one.store, owner, active=True)
    target = Target(machine.account_id, "machine", machine.id)
    other.attendance._note(target, TWO)
    steps = steps_of(other, monkeypatch)
    await one.departures.end([target])
    steps.clear()
    await asyncio.gather(*other.departures._returning)

    assert ["stored", "announced"] == steps


async def test_a_machine_that_connects_while_heartbeats_are_stored_is_stored_before_it_is_announced(
    world: World, session: Session, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was queued for it had been taken by the other transaction, which had not ended."""
    world.clock.advance(minutes=1)
    await beat(world, session)
    await world.activity._machines.beat(machine.account_id, machine.id, world.clock.now)
    steps, gate = steps_of(world, monkeypatch), asyncio.Event()
    write = world.store.write

    async def slow(body: Any) -> Any:
        await gate.wait()
        return await write(body)

    monkeypatch.setattr(world.store, "write", slow)
    flushing = asyncio.create_task(world.activity.flush())
    await asyncio.sleep(0)
    world.activity._revived.clear()  # as the background job does before it flushes
    connecting = asyncio.create_task(world.activity.machine_connected(machine.account_id, machine.id, ONE))
    for _ in range(20):
        await asyncio.sleep(0)
    before = list(steps)
    gate.set()
    await asyncio.gather(flushing, connecting)

    assert [] == before
    assert "stored" in steps[: steps.index("announced")]


def steps_of(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Fills with "stored" after each transaction, and "announced" at each event."""
    steps: list[str] = []
    write, publish = world.store.write, world.sink.publish

    async def store(body: Any) -> Any:
        result = await write(body)
        steps.append("stored")
        return result

    def announce(*arguments: Any, **named: Any) -> None:
        steps.append("announced")
        publish(*arguments, **named)

    monkeypatch.setattr(world.store, "write", store)
    monkeypatch.setattr(world.sink, "publish", announce)
    return steps


async def test_a_session_that_returns_and_is_killed_at_once_is_announced_as_ended(
    pair: tuple[World, World], session: Session
) -> None:
    """Its one heartbeat reached some clients behind its end: without another end they draw it online."""
    one, other = pair
    other.activity.session_connected(session.account_id, session.id, TWO)
    await beat(other, session)
    await one.departures.end([Target(session.account_id, "session", session.id)])
    await asyncio.gather(*other.departures._returning)
    await other.activity.flush()
    stored = await is_active(one, session)
    await left(other, TWO)

    assert stored
    assert [False] == [wire["active"] for wire in ended(other)]


async def test_one_that_cannot_return_now_does_not_hide_the_end_of_others(
    world: World, owner: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their rows were inactive then, and nobody was told, by the sweep neither."""

    async def unavailable(_: object) -> None:
        raise Unavailable

    machines = [await factories.machine(world.store, owner, active=True) for _ in range(3)]
    targets = [Target(owner, "machine", machine.id) for machine in machines]
    monkeypatch.setattr(world.activity, "returned", unavailable)
    for target in targets:
        world.attendance._note(target, ConnectionId(target.id))
    await world.departures.end(targets)

    assert {machine.id for machine in machines} == {wire["id"] for wire in ended(world)}


@pytest.mark.parametrize("act", ["end", "expire", "stop"])
async def test_clients_read_again_when_it_is_not_known_whether_an_end_was_stored(
    world: World, session: Session, act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica that was killed or cut off then told nobody: an app went on to draw it online."""
    write = world.store.write

    async def cut_off(body: Any) -> Any:
        await write(body)
        raise CommitInDoubt

    async def perform() -> None:
        if act == "end":
            await world.departures.end([Target(session.account_id, "session", session.id)])
        elif act == "expire":
            world.clock.advance(minutes=11)
            await world.departures.expire()
        else:
            await world.sessions.stop(session.account_id, session.id, world.clock.now)

    monkeypatch.setattr(world.store, "write", cut_off)
    with pytest.raises(CommitInDoubt):
        await perform()
    in_doubt = list(world.sink.in_doubt_accounts)
    monkeypatch.setattr(world.store, "write", write)
    await world.store.write(lambda tx: tx.sessions.mark_active([(session.id, NOW, NOW)], NOW))

    assert [session.account_id] == in_doubt
    assert ([session.account_id], [session.account_id]) == (world.sink.begun, world.sink.ended)


async def test_nothing_ends_while_presence_is_unavailable(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(*_: object) -> bool:
        raise Unavailable

    monkeypatch.setattr(world.presence, "is_held", unavailable)
    monkeypatch.setattr(departures, "RETURN_SECONDS", 0)
    world.activity.session_connected(session.account_id, session.id, ONE)
    await left(world)
    world.clock.advance(minutes=5)
    await world.departures.sweep()

    assert await is_active(world, session)


# -- the sweep ---------------------------------------------------------------------------------------------


async def test_sessions_of_a_killed_server_end_unless_they_reconnect(
    world: World, owner: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(departures, "RETURN_SECONDS", 0)
    monkeypatch.setattr(departures, "BATCH", 4)
    sessions = [await factories.session(world.store, owner) for _ in range(10)]
    machines = [await factories.machine(world.store, owner, active=True) for _ in range(5)]
    world.clock.advance(minutes=1)
    everybody: list[Session | Machine] = [*sessions, *machines]
    back = [sessions[3], sessions[8]]
    for number, session in enumerate(back):
        world.activity.session_connected(owner, session.id, ConnectionId(f"{number}"))
    await world.activity.machine_connected(owner, machines[2].id, ONE)
    await world.departures.sweep()

    gone = {row.id for row in everybody if row not in (*back, machines[2])}
    assert gone == {wire["id"] for wire in ended(world)}
    assert all([await is_active(world, row) for row in back])


async def test_the_sweep_spares_what_sent_a_heartbeat_within_a_minute(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(departures, "RETURN_SECONDS", 0)
    world.clock.advance(seconds=59.999)
    await world.departures.sweep()

    assert await is_active(world, session)


async def test_after_a_start_clients_have_time_to_reconnect(world: World, session: Session) -> None:
    world.clock.advance(minutes=5)
    for _ in range(2):
        await world.departures.sweep()

    assert await is_active(world, session)


# -- bounds ------------------------------------------------------------------------------------------------


async def test_what_a_peer_can_make_the_server_wait_for_is_bounded(
    world: World, owner: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attendance, "MAX_TARGETS", 3)
    monkeypatch.setattr(attendance, "MAX_DEPARTURES", 5)
    waiting = Attendance(world.presence, ReplicaId("here"), grace=60)
    waiting.listen(world.departures.end)
    for number in range(4):
        for target in range(6):
            waiting.attend(Target(owner, "session", f"{number}-{target}"), ConnectionId(f"{number}"))
    for number in range(4):
        waiting.disconnected(ConnectionId(f"{number}"))

    assert 5 == len(waiting._left)
    assert ({}, {}) == (waiting._here, waiting._targets)
    await waiting.stop()
    with pytest.raises(asyncio.CancelledError):
        await waiting.drain()


async def test_claims_are_released_with_the_connection(world: World, owner: AccountId) -> None:
    target = Target(owner, "machine", MachineId("m"))
    await world.attendance.arrive(target, ONE)
    held = list(await world.presence.holders(owner, "machine:m"))
    await left(world)

    assert [Holder(ReplicaId("here"), ONE)] == held
    assert not await world.presence.is_held(owner, "machine:m")


def test_the_grace_period_covers_two_attempts_of_every_client() -> None:
    assert 1 + 3 < attendance.DEPARTURE_SECONDS < 10
    assert NOW < departures.ANY_TIME
