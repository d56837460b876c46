"""The audit log, which is bounded by age and number."""

from typing import Protocol

from happy.domain.audit import AuditEntry
from happy.domain.values import Millis


class AuditRepository(Protocol):
    async def add(self, entry: AuditEntry) -> None:
        """Add it, in the transaction of the act itself where there is one."""
        ...

    async def since(self, moment: Millis, limit: int) -> list[AuditEntry]:
        """The newest entries, at most `limit`, from `moment` on; the newest first."""
        ...

    async def prune(self, before: Millis, keep: int, limit: int) -> int:
        """Delete up to `limit` entries that are older than `before` or not among the newest `keep`."""
        ...
