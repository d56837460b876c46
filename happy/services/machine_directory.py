"""Finds machines for the operator of the server, and deletes them beside running servers."""

from happy.domain.administration import MachineRecord
from happy.domain.errors import NotFound
from happy.domain.ports.clock import Clock
from happy.domain.ports.store import Store, Transaction
from happy.domain.values import AccountId, MachineId
from happy.services.announcements import announce
from happy.services.audit import record


class MachineDirectory:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def page(
        self, account_id: AccountId, after: MachineRecord | None, limit: int
    ) -> tuple[list[MachineRecord], bool]:
        """The last active first, those behind `after`, and whether there are more."""
        found = await self._store.read(lambda tx: tx.administration.machines(account_id, after, limit + 1))
        return found[:limit], len(found) > limit

    async def find(self, machine_id: str) -> MachineRecord:
        """Raises NotFound."""
        found = await self._store.read(lambda tx: tx.administration.machine(MachineId(machine_id)))
        if found is None:
            raise NotFound(
                f"there is no machine {machine_id!r}: `happy-server machines list ACCOUNT` shows them"
            )
        return found

    async def access_keys(self, machine: MachineRecord) -> int:
        """How many access keys are deleted with it."""
        return await self._store.read(lambda tx: tx.administration.access_keys(machine.id))

    async def delete(self, machine: MachineRecord) -> None:
        """Hide the machine at once, for ever; servers announce it. Its sessions remain.

        Raises NotFound when it was deleted meanwhile.
        """
        now = self._clock()

        async def delete(tx: Transaction) -> None:
            if not await tx.machines.delete(machine.account_id, machine.id, now):
                raise NotFound("the machine was deleted already")
            await announce(tx, machine.account_id, "machine", machine.id, now)
            await record(
                tx, now, "command line", "machine.delete", machine.id, f"account {machine.account_id}"
            )

        await self._store.write(delete)
