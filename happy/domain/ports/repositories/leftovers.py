"""What is left over and can be removed."""

from collections.abc import Sequence
from typing import Protocol

from happy.domain.leftovers import Deadlines, Expired, InactiveSessions
from happy.domain.values import AccountId, Millis, SessionId


class LeftoverRepository(Protocol):
    async def expired(self, deadlines: Deadlines) -> Expired: ...

    async def inactive(self, before: Millis) -> InactiveSessions:
        """Sessions that are not active, and neither active nor changed since `before`."""
        ...

    async def some_inactive(
        self, before: Millis, after: SessionId, limit: int
    ) -> list[tuple[AccountId, SessionId]]:
        """The owners and ids of up to `limit` of them, in the order of ids, behind the id `after`."""
        ...

    async def sessions_there(self, ids: Sequence[str]) -> frozenset[str]:
        """Those of the ids that are sessions, also deleted ones whose rows are not removed yet."""
        ...

    async def accounts_there(self, ids: Sequence[str]) -> frozenset[str]:
        """Those of the ids that are accounts."""
        ...
