"""Changes of what is active are announced once more, as they are stored by then."""

from typing import Any

import pytest

from happy.domain.errors import Unavailable
from happy.domain.machines import Machine
from happy.domain.sessions import Session
from happy.domain.values import AccountId, ConnectionId, Millis
from happy.services import repeats
from happy.services.attendance import Target
from tests.support import factories
from tests.unit.services.world import World

ONE = ConnectionId("one")


@pytest.fixture
async def session(world: World, owner: AccountId) -> Session:
    return await factories.session(world.store, owner)


@pytest.fixture
async def machine(world: World, owner: AccountId) -> Machine:
    return await factories.machine(world.store, owner)


async def repeated(world: World, seconds: float = repeats.REPEAT_SECONDS) -> list[tuple[str, bool]]:
    """What is announced again after so many seconds."""
    world.sink.take()
    world.clock.advance(seconds=seconds)
    await world.repeats.announce_due()
    return [(wire["id"], wire["active"]) for wire in world.sink.wires()]


async def test_what_has_ended_is_announced_again_once(
    world: World, session: Session, machine: Machine
) -> None:
    """An app whose list was on its way when they ended drew them online until it was started anew."""
    world.activity.session_connected(session.account_id, session.id, ONE)
    await world.activity.machine_connected(machine.account_id, machine.id, ONE)
    world.activity.disconnected(ONE)
    await world.attendance.drain()
    announced = world.sink.wires()[-2:]
    early, again = await repeated(world, 9.9), await repeated(world, 0.1)

    assert {(wire["id"], wire["active"]) for wire in announced} == {(session.id, False), (machine.id, False)}
    assert ([], {(session.id, False), (machine.id, False)}) == (early, set(again))
    assert [] == await repeated(world)


async def test_a_machine_that_has_come_online_is_announced_again(world: World, machine: Machine) -> None:
    """An app whose list was on its way then drew it offline until its next heartbeat."""
    await world.activity.machine_connected(machine.account_id, machine.id, ONE)

    assert [(machine.id, True)] == await repeated(world)
    await world.activity.machine_alive(machine.account_id, machine.id, world.clock.now)
    assert [] == await repeated(world)


async def test_the_last_word_is_about_the_last_change(world: World, owner: AccountId) -> None:
    """Clients of two replicas may receive what these announced at the same time in another order."""
    machine = await factories.machine(world.store, owner, active=True)
    one, other = (World(world.store, clock=world.clock, replica_id=name) for name in ("one", "other"))
    await one.departures.end([Target(machine.account_id, "machine", machine.id)])
    await other.activity.machine_connected(machine.account_id, machine.id, ConnectionId("two"))
    world.clock.advance(seconds=10)
    words: list[bool] = []
    for replica in (one, other):
        replica.sink.take()
        await replica.repeats.announce_due()
        words += [wire["active"] for wire in replica.sink.wires()]

    assert [True, True] == words


async def test_a_session_that_was_stopped_is_announced_again_unless_it_was_resumed(
    world: World, session: Session
) -> None:
    for resumed in (False, True):
        await world.sessions.archive(session.account_id, session.id)
        if resumed:
            world.clock.advance(seconds=1)
            world.activity.resume(session.account_id, session.id)
            await world.activity.session_alive(session.account_id, session.id, world.clock.now, thinking=True)
            await world.activity.flush()
        assert ([] if resumed else [(session.id, False)]) == await repeated(world)


async def test_what_was_deleted_meanwhile_is_not_announced(world: World, session: Session) -> None:
    await world.sessions.archive(session.account_id, session.id)
    await world.sessions.delete(session.account_id, session.id)

    assert [] == await repeated(world)


async def test_what_cannot_be_read_now_is_announced_later(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(_: Any) -> None:
        raise Unavailable

    await world.sessions.archive(session.account_id, session.id)
    with monkeypatch.context() as broken:
        broken.setattr(world.store, "read", unavailable)
        with pytest.raises(Unavailable):
            await repeated(world)

    assert [(session.id, False)] == await repeated(world, 0)


async def test_how_many_are_remembered_is_bounded(
    world: World, owner: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeats, "MAX_REPEATS", 2)
    machines = [await factories.machine(world.store, owner, last_active_at=Millis(1)) for _ in range(3)]
    for machine in machines:
        world.repeats.later(Target(owner, "machine", machine.id))

    assert [(machine.id, False) for machine in machines[1:]] == await repeated(world)
