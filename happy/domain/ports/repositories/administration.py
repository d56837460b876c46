"""Accounts as the operator sees them."""

from typing import Protocol

from happy.domain.administration import AccountRecord, Belongings, MachineRecord, SessionRecord
from happy.domain.values import AccountId, MachineId, SessionId


class AdministrationRepository(Protocol):
    async def page(self, after: AccountId, limit: int) -> list[AccountRecord]:
        """Accounts in the order of their ids, those behind `after`."""
        ...

    async def find(self, account: str, public_key: str) -> list[AccountRecord]:
        """Those with this id, username, or public key in upper-case hex."""
        ...

    async def belongings(self, account_id: AccountId) -> Belongings: ...

    async def sessions(
        self, account_id: AccountId, before: SessionId | None, limit: int
    ) -> list[SessionRecord]:
        """Those of the account in descending order of their ids, with ids before `before`."""
        ...

    async def session(self, session_id: SessionId) -> SessionRecord | None:
        """Of whichever account; None also for one that was deleted."""
        ...

    async def machines(
        self, account_id: AccountId, after: MachineRecord | None, limit: int
    ) -> list[MachineRecord]:
        """Those of the account that come behind `after`, the last active first."""
        ...

    async def machine(self, machine_id: MachineId) -> MachineRecord | None:
        """Of whichever account; None also for one that was deleted."""
        ...

    async def access_keys(self, machine_id: MachineId) -> int:
        """How many access keys the machine has."""
        ...
