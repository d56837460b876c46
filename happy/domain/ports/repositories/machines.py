"""Machines: their metadata, daemon state and activity."""

from collections.abc import Sequence
from typing import Protocol

from happy.domain.listing import Large
from happy.domain.machines import Machine
from happy.domain.values import AccountId, MachineId, Millis, Swap


class MachineRepository(Protocol):
    async def add(self, machine: Machine) -> bool:
        """Store `machine` unless some account already has one with that id."""
        ...

    async def get(self, account_id: AccountId, machine_id: MachineId) -> Machine | None: ...

    async def owned(self, account_id: AccountId) -> list[Machine | Large]:
        """All machines, the last active first."""
        ...

    async def swap_metadata(
        self, account_id: AccountId, machine_id: MachineId, expected: int, value: str, now: Millis
    ) -> Swap[str]:
        """Raises NotFound."""
        ...

    async def swap_daemon_state(
        self, account_id: AccountId, machine_id: MachineId, expected: int, value: str, now: Millis
    ) -> Swap[str | None]:
        """Winning also sets the machine active, last seen now. Raises NotFound."""
        ...

    async def mark_active(self, seen: Sequence[tuple[AccountId, MachineId, Millis]], now: Millis) -> None:
        """Record many heartbeats. One that is not newer than what is stored only sets the machine active."""
        ...

    async def mark_idle(self, deadline: Millis, limit: int) -> list[tuple[AccountId, MachineId, Millis]]:
        """Deactivate up to `limit` machines last seen by `deadline`; return whose and when last seen."""
        ...

    async def silent(
        self, deadline: Millis, after: tuple[Millis, str], limit: int
    ) -> list[tuple[AccountId, MachineId, Millis]]:
        """Active machines last seen by `deadline`, in the order of that time and their ids.

        `after` is the time and id of the last one of the page before.
        """
        ...

    async def mark_gone(
        self, account_id: AccountId, machine_ids: Sequence[MachineId], seen_by: Millis
    ) -> list[tuple[MachineId, Millis]]:
        """Deactivate those that are active and were last seen by that time; return when each was."""
        ...

    async def delete(self, account_id: AccountId, machine_id: MachineId, now: Millis) -> bool:
        """Hide the machine and its access keys; with many of them, `deletions` has more to do."""
        ...

    async def hidden(self, machine_id: MachineId) -> bool:
        """Whether a deleted machine keeps this id from being registered."""
        ...
