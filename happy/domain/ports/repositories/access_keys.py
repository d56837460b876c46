"""Keys that let one machine read one session."""

from typing import Protocol

from happy.domain.artifacts import AccessKey
from happy.domain.values import AccountId, MachineId, Millis, SessionId, Swap


class AccessKeyRepository(Protocol):
    async def reachable(self, account_id: AccountId, session_id: SessionId, machine_id: MachineId) -> bool:
        """Whether both the session and the machine are the account's."""
        ...

    async def get(
        self, account_id: AccountId, session_id: SessionId, machine_id: MachineId
    ) -> AccessKey | None: ...

    async def add(
        self,
        account_id: AccountId,
        session_id: SessionId,
        machine_id: MachineId,
        key_id: str,
        data: str,
        now: Millis,
    ) -> bool:
        """Store a key with version 1 unless there is one already."""
        ...

    async def swap(
        self,
        account_id: AccountId,
        session_id: SessionId,
        machine_id: MachineId,
        expected: int,
        data: str,
        now: Millis,
    ) -> Swap[str]:
        """Raises NotFound."""
        ...
