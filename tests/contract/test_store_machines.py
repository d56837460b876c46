"""The repository of machines."""

import asyncio

import msgspec
import pytest

from happy.domain.errors import NotFound
from happy.domain.machines import Machine
from happy.domain.ports.store import Store
from happy.domain.values import HOUR, AccountId, MachineId, Millis, Swap, Versioned
from tests.support import factories
from tests.support.factories import NOW

UNKNOWN = MachineId("unknown")
LATER = Millis(NOW + 60_000)


async def test_a_machine_is_read_as_it_was_stored(store: Store) -> None:
    owner = await factories.account(store)
    full = await factories.machine(
        store, owner, "m-ü", daemon_state="up", daemon_state_version=1, data_encryption_key=b"\0\xff"
    )
    bare = await factories.machine(store, owner)

    assert full == await factories.stored_machine(store, owner, full.id)
    assert bare == await factories.stored_machine(store, owner, bare.id)
    assert None is await store.read(lambda tx: tx.machines.get(owner, UNKNOWN))


async def add(store: Store, machine: Machine) -> bool:
    return await store.write(lambda tx: tx.machines.add(machine))


async def test_a_machine_id_is_taken_once_on_the_whole_server(store: Store) -> None:
    owner, stranger = await factories.account(store), await factories.account(store)
    machine = await factories.machine(store, owner)

    for who in (owner, stranger):
        assert not await add(store, factories.some_machine(who, machine.id, metadata="other"))
    assert machine == await factories.stored_machine(store, owner, machine.id)
    assert None is await store.read(lambda tx: tx.machines.get(stranger, machine.id))


async def test_of_many_registrations_at_once_one_is_stored(store: Store) -> None:
    owners = [await factories.account(store) for _ in range(8)]
    added = await asyncio.gather(
        *(add(store, factories.some_machine(owner, "contested")) for owner in owners)
    )

    assert 1 == sum(added)


async def test_owned_machines_come_the_last_active_first(store: Store) -> None:
    owner = await factories.account(store)
    made = [await factories.machine(store, owner, last_active_at=Millis(NOW + step)) for step in range(3)]
    await factories.machine(store, await factories.account(store))

    assert made[::-1] == await store.read(lambda tx: tx.machines.owned(owner))
    assert [] == await store.read(lambda tx: tx.machines.owned(AccountId("nobody")))


# -- compare and set -------------------------------------------------------------------------------------


async def swap_metadata(store: Store, machine: Machine, expected: int, value: str) -> Swap[str]:
    return await store.write(
        lambda tx: tx.machines.swap_metadata(machine.account_id, machine.id, expected, value, LATER)
    )


async def swap_state(store: Store, machine: Machine, expected: int, value: str) -> Swap[str | None]:
    return await store.write(
        lambda tx: tx.machines.swap_daemon_state(machine.account_id, machine.id, expected, value, LATER)
    )


async def test_metadata_is_replaced_when_its_version_matches(store: Store) -> None:
    machine = await factories.machine(store, await factories.account(store))

    assert Swap(won=True, current=Versioned("new", 2)) == await swap_metadata(store, machine, 1, "new")
    assert msgspec.structs.replace(
        machine, metadata="new", metadata_version=2, updated_at=LATER
    ) == await factories.stored_machine(store, machine.account_id, machine.id)


async def test_a_new_daemon_state_makes_the_machine_active(store: Store) -> None:
    machine = await factories.machine(store, await factories.account(store))

    assert Swap(won=True, current=Versioned("up", 1)) == await swap_state(store, machine, 0, "up")
    assert msgspec.structs.replace(
        machine,
        daemon_state="up",
        daemon_state_version=1,
        active=True,
        last_active_at=LATER,
        updated_at=LATER,
    ) == await factories.stored_machine(store, machine.account_id, machine.id)


@pytest.mark.parametrize("expected", [-1, 5, 2**31 - 1])
async def test_another_version_changes_nothing_and_brings_what_is_stored(store: Store, expected: int) -> None:
    machine = await factories.machine(store, await factories.account(store))

    assert Swap(won=False, current=Versioned("metadata", 1)) == await swap_metadata(
        store, machine, expected, "late"
    )
    assert Swap(won=False, current=Versioned(None, 0)) == await swap_state(store, machine, expected, "late")
    assert machine == await factories.stored_machine(store, machine.account_id, machine.id)


async def test_a_foreign_or_unknown_machine_cannot_be_changed(store: Store) -> None:
    owner, stranger = await factories.account(store), await factories.account(store)
    machine = await factories.machine(store, owner)

    for other in (
        msgspec.structs.replace(machine, account_id=stranger),
        msgspec.structs.replace(machine, id=UNKNOWN),
    ):
        with pytest.raises(NotFound):
            await swap_metadata(store, other, 1, "foreign")
        with pytest.raises(NotFound):
            await swap_state(store, other, 0, "foreign")
    assert machine == await factories.stored_machine(store, owner, machine.id)


# -- presence --------------------------------------------------------------------------------------------


async def beat(store: Store, machine: Machine, at: int, owner: AccountId | None = None) -> Machine:
    seen = [(owner or machine.account_id, machine.id, Millis(at))]
    await store.write(lambda tx: tx.machines.mark_active(seen, LATER))
    return await factories.stored_machine(store, machine.account_id, machine.id)


async def test_a_time_from_before_the_clock_was_set_back_does_not_hold_a_machine_still(store: Store) -> None:
    machine = await factories.machine(store, await factories.account(store))
    ahead = Millis(LATER + 2 * HOUR)
    await store.write(lambda tx: tx.machines.mark_active([(machine.account_id, machine.id, ahead)], ahead))

    assert LATER == (await beat(store, machine, LATER)).last_active_at


async def test_a_heartbeat_moves_the_last_active_time_and_activates(store: Store) -> None:
    machine = await factories.machine(store, await factories.account(store))

    assert msgspec.structs.replace(machine, active=True, last_active_at=NOW + 1) == await beat(
        store, machine, NOW + 1
    )


@pytest.mark.parametrize("at", [NOW - 1, NOW])
async def test_an_old_heartbeat_activates_but_never_moves_the_time_back(store: Store, at: int) -> None:
    inactive = await factories.machine(store, await factories.account(store))
    active = await factories.machine(store, inactive.account_id, active=True)

    assert msgspec.structs.replace(inactive, active=True) == await beat(store, inactive, at)
    assert active == await beat(store, active, at)


async def test_a_stranger_does_not_make_a_machine_active(store: Store) -> None:
    machine = await factories.machine(store, await factories.account(store))

    assert machine == await beat(store, machine, NOW + 1, await factories.account(store))


async def test_silent_machines_are_deactivated_in_batches_and_each_is_reported_once(store: Store) -> None:
    owner = await factories.account(store)
    made = [
        await factories.machine(store, owner, active=True, last_active_at=Millis(NOW - number))
        for number in range(4)
    ]
    await factories.machine(store, owner, active=False, last_active_at=Millis(NOW - 9))
    deadline = Millis(NOW - 1)
    batches = [await store.write(lambda tx: tx.machines.mark_idle(deadline, 2)) for _ in range(3)]

    assert [2, 1, 0] == [len(batch) for batch in batches]
    assert {(owner, machine.id, machine.last_active_at) for machine in made[1:]} == {
        row for batch in batches for row in batch
    }
    assert (await factories.stored_machine(store, owner, made[0].id)).active
    assert not (await factories.stored_machine(store, owner, made[1].id)).active


# -- delete ----------------------------------------------------------------------------------------------


async def test_a_machine_is_deleted_by_its_owner_only(store: Store) -> None:
    owner, stranger = await factories.account(store), await factories.account(store)
    machine = await factories.machine(store, owner)

    async def delete(who: AccountId) -> bool:
        return await store.write(lambda tx: tx.machines.delete(who, machine.id, NOW))

    deletions = [await delete(stranger), await delete(owner), await delete(owner)]

    assert [False, True, False] == deletions
    assert [] == await store.read(lambda tx: tx.machines.owned(owner))


async def test_a_deleted_machine_can_be_registered_by_anybody(store: Store) -> None:
    owner, stranger = await factories.account(store), await factories.account(store)
    machine = await factories.machine(store, owner)
    await store.write(lambda tx: tx.machines.delete(owner, machine.id, NOW))

    assert machine.id == (await factories.machine(store, stranger, machine.id)).id
