"""What was deleted is removed in the background, a little at a time."""

import asyncio
from typing import Any

import pytest

from happy.domain.errors import Unavailable
from happy.domain.ports.store import Transaction
from happy.domain.sessions import encrypted_content
from happy.domain.values import HOUR, AccountId, MachineId, Millis
from happy.services import batches
from happy.services.batches import in_batches
from tests.support import factories
from tests.support.factories import NOW
from tests.unit.services.world import World

MID = MachineId("machine")


async def counts(world: World) -> tuple[int, int, int]:
    rows = await world.store.read(lambda tx: tx.statistics.rows())
    return rows.sessions, rows.messages, rows.machines


async def test_a_deleted_session_is_removed_with_its_messages_and_files(
    world: World, owner: AccountId
) -> None:
    session, kept = await factories.session(world.store, owner), await factories.session(world.store, owner)
    for target in (session, kept):
        await world.messages.append(owner, target.id, [(None, encrypted_content("secret"))] * 1_000)
    await world.sessions.delete(owner, session.id)
    await world.deletions.sweep()

    assert (1, 1_000, 0) == await counts(world)
    assert [f"sessions/{session.id}/attachments/"] == world.files.deleted


async def test_other_writers_have_their_turn_between_the_batches(
    world: World, owner: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await factories.session(world.store, owner)
    await world.messages.append(owner, session.id, [(None, encrypted_content("secret"))] * 3)
    await world.sessions.delete(owner, session.id)
    found: list[int] = []
    real_pause = batches.pause

    async def pause(taken: float) -> None:
        found.append((await counts(world))[1])
        await real_pause(taken)

    monkeypatch.setattr("happy.services.deletions.pause", pause)
    monkeypatch.setattr(world.store, "batch_seconds", 1e-9)  # one step of one row each
    await world.deletions.sweep()

    assert [2, 1, 0, 0] == found


async def test_files_that_cannot_be_removed_are_tried_again_later(world: World, owner: AccountId) -> None:
    session, other = await factories.session(world.store, owner), await factories.session(world.store, owner)
    world.files.broken = True
    await world.sessions.delete(owner, session.id)
    await world.deletions.sweep()
    world.files.broken = False
    await world.sessions.delete(owner, other.id)
    await world.deletions.sweep()

    assert [f"sessions/{other.id}/attachments/"] == world.files.deleted
    world.clock.now = Millis(NOW + HOUR)
    await world.deletions.sweep()
    assert (0, 0, 0) == await counts(world)


async def test_a_deletion_that_the_last_run_did_not_finish_is_found_again(
    world: World, owner: AccountId
) -> None:
    session = await factories.session(world.store, owner)
    await world.store.write(lambda tx: tx.sessions.delete(owner, session.id, NOW))
    await world.deletions.run()

    assert (0, 0, 0) == await counts(world)


async def test_a_failure_is_tried_again_without_another_deletion(
    world: World, owner: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await factories.session(world.store, owner)
    await world.sessions.delete(owner, session.id)

    async def fail(*_: Any) -> None:
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr(world.deletions, "sweep", fail)
        with pytest.raises(Unavailable):
            await world.deletions.run()
    async with asyncio.timeout(5):
        await world.deletions.run()
    assert (0, 0, 0) == await counts(world)


async def test_a_machine_can_be_registered_while_its_predecessor_is_still_removed(
    world: World, owner: AccountId
) -> None:
    machine = await factories.machine(world.store, owner, MID, metadata="old")
    sessions = [factories.some_session(owner) for _ in range(250)]

    async def fill(tx: Transaction) -> None:
        for session in sessions:
            await tx.sessions.add(session)
            await tx.access_keys.add(owner, session.id, machine.id, f"key {session.id}", "data", NOW)

    await world.store.write(fill)
    await world.machines.delete(owner, MID)
    assert await world.store.read(lambda tx: tx.machines.hidden(MID))
    again = await world.machines.load_or_register(owner, MID, "new", None, None)

    assert "new" == again.metadata
    assert None is await world.store.read(lambda tx: tx.access_keys.get(owner, sessions[0].id, MID))


async def test_a_step_takes_more_rows_while_it_is_quick(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    monkeypatch.setattr(world.store, "batch_seconds", 240)

    async def step(_tx: Transaction, limit: int) -> int:
        taken.append(limit)
        return limit if len(taken) < 5 else 0

    await in_batches(world.store, step)

    assert [1, 2, 4, 8, 16] == taken
