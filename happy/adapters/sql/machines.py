"""Machines in SQL."""

from collections.abc import Sequence

import msgspec

from happy.adapters.sql.statement import Executor, Listing, Statement, scalar
from happy.domain.errors import NotFound
from happy.domain.listing import Large
from happy.domain.machines import Machine
from happy.domain.values import FUTURE_AFTER, AccountId, MachineId, Millis, Swap, Versioned

ADD: Statement[MachineId] = Statement("machines.ADD", scalar)
GET = Statement("machines.GET", Machine)
OWNED = Listing("machines.OWNED", Machine, "id", "metadata", "daemon_state", "data_encryption_key")
SWAP_METADATA: Statement[Versioned[str]] = Statement("machines.SWAP_METADATA", Versioned)
SWAP_DAEMON_STATE: Statement[Versioned[str | None]] = Statement("machines.SWAP_DAEMON_STATE", Versioned)
MARK_ACTIVE: Statement[None] = Statement("machines.MARK_ACTIVE", scalar)


def _silent(account_id: AccountId, machine_id: MachineId, at: Millis) -> tuple[AccountId, MachineId, Millis]:
    return account_id, machine_id, at


def _gone(machine_id: MachineId, at: Millis) -> tuple[MachineId, Millis]:
    return machine_id, at


MARK_IDLE = Statement("machines.MARK_IDLE", _silent)
REMOVE_KEYS: Statement[str] = Statement("deletions.REMOVE_KEYS_OF_MACHINE", scalar)
SILENT = Statement("machines.SILENT", _silent)
MARK_GONE = Statement("machines.MARK_GONE", _gone)
DELETE: Statement[MachineId] = Statement("machines.DELETE", scalar)
HIDE: Statement[MachineId] = Statement("machines.HIDE", scalar)
HIDDEN: Statement[MachineId] = Statement("machines.HIDDEN", scalar)

KEYS_AT_ONCE = 100
"""Up to this number access keys are deleted together with their machine; else later, in batches."""


class SqlMachines:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def add(self, machine: Machine) -> bool:
        return await self._executor.one(ADD, **msgspec.structs.asdict(machine)) is not None

    async def get(self, account_id: AccountId, machine_id: MachineId) -> Machine | None:
        return await self._executor.one(GET, account=account_id, machine=machine_id)

    async def owned(self, account_id: AccountId) -> list[Machine | Large]:
        return await self._executor.listed(OWNED, account=account_id)

    async def swap_metadata(
        self, account_id: AccountId, machine_id: MachineId, expected: int, value: str, now: Millis
    ) -> Swap[str]:
        stored = await self._executor.one(
            SWAP_METADATA, account=account_id, machine=machine_id, expected=expected, value=value, now=now
        )
        if stored is not None:
            return Swap(won=True, current=stored)
        machine = await self._existing(account_id, machine_id)
        return Swap(won=False, current=Versioned(machine.metadata, machine.metadata_version))

    async def swap_daemon_state(
        self, account_id: AccountId, machine_id: MachineId, expected: int, value: str, now: Millis
    ) -> Swap[str | None]:
        stored = await self._executor.one(
            SWAP_DAEMON_STATE,
            account=account_id,
            machine=machine_id,
            expected=expected,
            value=value,
            now=now,
        )
        if stored is not None:
            return Swap(won=True, current=stored)
        machine = await self._existing(account_id, machine_id)
        return Swap(won=False, current=Versioned(machine.daemon_state, machine.daemon_state_version))

    async def mark_active(self, seen: Sequence[tuple[AccountId, MachineId, Millis]], now: Millis) -> None:
        future = Millis(now + FUTURE_AFTER)
        rows = [
            {"account": account, "machine": target, "at": at, "future": future}
            for account, target, at in seen
        ]
        await self._executor.execute_many(MARK_ACTIVE, rows)

    async def mark_idle(self, deadline: Millis, limit: int) -> list[tuple[AccountId, MachineId, Millis]]:
        return await self._executor.all(MARK_IDLE, deadline=deadline, limit=limit)

    async def silent(
        self, deadline: Millis, after: tuple[Millis, str], limit: int
    ) -> list[tuple[AccountId, MachineId, Millis]]:
        at, after_id = after
        return await self._executor.all(SILENT, deadline=deadline, after=at, after_id=after_id, limit=limit)

    async def mark_gone(
        self, account_id: AccountId, machine_ids: Sequence[MachineId], seen_by: Millis
    ) -> list[tuple[MachineId, Millis]]:
        return await self._executor.all(MARK_GONE, account=account_id, ids=list(machine_ids), seen_by=seen_by)

    async def delete(self, account_id: AccountId, machine_id: MachineId, now: Millis) -> bool:
        hidden = await self._executor.one(HIDE, account=account_id, machine=machine_id, now=now)
        if hidden is None:
            return False
        await self._executor.all(REMOVE_KEYS, target=machine_id, limit=KEYS_AT_ONCE)
        await self._executor.execute(DELETE, machine=machine_id)
        return True

    async def hidden(self, machine_id: MachineId) -> bool:
        return await self._executor.one(HIDDEN, machine=machine_id) is not None

    async def _existing(self, account_id: AccountId, machine_id: MachineId) -> Machine:
        machine = await self.get(account_id, machine_id)
        if machine is None:
            raise NotFound("Machine not found")
        return machine
