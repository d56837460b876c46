"""Register, list, update and delete machines (protocol: http#machines, realtime#machine-events)."""

from happy.domain.errors import Conflict, NotFound
from happy.domain.events import (
    TO_USER,
    DeleteMachine,
    UpdateMachine,
    VersionedValue,
    new_machine,
    to_machine,
)
from happy.domain.listing import Large
from happy.domain.machines import Machine
from happy.domain.ports.store import Store
from happy.domain.values import AccountId, MachineId, Millis, Swap
from happy.services.activity import Activity
from happy.services.deletions import Deletions
from happy.services.unit_of_work import Changes, UnitOfWork


class MachineService:
    def __init__(
        self, store: Store, unit_of_work: UnitOfWork, activity: Activity, deletions: Deletions
    ) -> None:
        self._store = store
        self._unit_of_work = unit_of_work
        self._activity = activity
        self._deletions = deletions

    async def load_or_register(
        self,
        account_id: AccountId,
        machine_id: MachineId,
        metadata: str,
        daemon_state: str | None,
        data_encryption_key: bytes | None,
    ) -> Machine:
        """The machine, stored first if it is new. Raises Conflict when another account has that id."""

        async def add(changes: Changes) -> Machine:
            machine = _fresh(account_id, machine_id, metadata, daemon_state, data_encryption_key, changes.now)
            if not await changes.tx.machines.add(machine):
                existing = await changes.tx.machines.get(account_id, machine_id)
                if existing is None:
                    raise Conflict("Machine is registered to another account")
                return existing
            changes.record(account_id, TO_USER, new_machine(machine))
            changes.record(
                account_id,
                to_machine(machine_id),
                UpdateMachine(machine_id, metadata=VersionedValue(metadata, machine.metadata_version)),
            )
            return machine

        machine = await self.get(account_id, machine_id)
        if machine is None:
            await self._free_id(machine_id)
            machine = await self._unit_of_work.run(add)
        return machine

    async def _free_id(self, machine_id: MachineId) -> None:
        """Finish the deletion of a machine with this id, so that it can be registered again."""
        if await self._store.read(lambda tx: tx.machines.hidden(machine_id)):
            await self._deletions.finish_machine(machine_id)

    async def get(self, account_id: AccountId, machine_id: MachineId) -> Machine | None:
        return await self._store.read(lambda tx: tx.machines.get(account_id, machine_id))

    async def owned(self, account_id: AccountId) -> list[Machine | Large]:
        """All machines of the account, the last active first."""
        return await self._store.read(lambda tx: tx.machines.owned(account_id))

    async def update_metadata(
        self, account_id: AccountId, machine_id: MachineId, expected: int, value: str
    ) -> Swap[str]:
        """Replace the metadata if its version is still `expected`. Raises NotFound."""

        async def swap(changes: Changes) -> Swap[str]:
            outcome = await changes.tx.machines.swap_metadata(
                account_id, machine_id, expected, value, changes.now
            )
            if outcome.won:
                part = VersionedValue(value, outcome.current.version)
                changes.record(account_id, to_machine(machine_id), UpdateMachine(machine_id, metadata=part))
            return outcome

        return await self._unit_of_work.run(swap)

    async def update_daemon_state(
        self, account_id: AccountId, machine_id: MachineId, expected: int, value: str
    ) -> Swap[str | None]:
        """Replace the daemon state if its version is still `expected`; winning makes the machine active.

        Raises NotFound.
        """

        async def swap(changes: Changes) -> Swap[str | None]:
            outcome = await changes.tx.machines.swap_daemon_state(
                account_id, machine_id, expected, value, changes.now
            )
            if outcome.won:
                part = VersionedValue(value, outcome.current.version)
                changes.record(
                    account_id, to_machine(machine_id), UpdateMachine(machine_id, daemon_state=part)
                )
            return outcome

        return await self._unit_of_work.run(swap)

    async def delete(self, account_id: AccountId, machine_id: MachineId) -> None:
        """Delete the machine; its sessions remain. Raises NotFound."""

        async def remove(changes: Changes) -> None:
            if not await changes.tx.machines.delete(account_id, machine_id, changes.now):
                raise NotFound
            changes.record(account_id, TO_USER, DeleteMachine(machine_id))

        await self._unit_of_work.run(remove)
        self._activity.forget_machine(account_id, machine_id)
        self._deletions.wake()


def _fresh(
    account_id: AccountId,
    machine_id: MachineId,
    metadata: str,
    daemon_state: str | None,
    data_encryption_key: bytes | None,
    now: Millis,
) -> Machine:
    return Machine(
        id=machine_id,
        account_id=account_id,
        seq=0,
        metadata=metadata,
        metadata_version=1,
        daemon_state=daemon_state or None,
        daemon_state_version=1 if daemon_state else 0,
        data_encryption_key=data_encryption_key,
        active=False,
        last_active_at=now,
        created_at=now,
        updated_at=now,
    )
