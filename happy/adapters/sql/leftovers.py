"""What is left over, in SQL."""

from collections.abc import Sequence

import msgspec

from happy.adapters.sql.statement import Executor, Statement, scalar
from happy.domain.leftovers import Deadlines, Expired, InactiveSessions
from happy.domain.values import AccountId, Millis, SessionId


def _owned(account_id: AccountId, session_id: SessionId) -> tuple[AccountId, SessionId]:
    return account_id, session_id


EXPIRED = Statement("leftovers.EXPIRED", Expired)
INACTIVE = Statement("leftovers.INACTIVE", InactiveSessions)
SOME_INACTIVE = Statement("leftovers.SOME_INACTIVE", _owned)
SESSIONS_THERE: Statement[str] = Statement("leftovers.SESSIONS_THERE", scalar)
ACCOUNTS_THERE: Statement[str] = Statement("leftovers.ACCOUNTS_THERE", scalar)


class SqlLeftovers:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def expired(self, deadlines: Deadlines) -> Expired:
        found = await self._executor.one(EXPIRED, **msgspec.structs.asdict(deadlines))
        assert found is not None, "a query without a table always returns its row"
        return found

    async def inactive(self, before: Millis) -> InactiveSessions:
        found = await self._executor.one(INACTIVE, before=before)
        assert found is not None, "an aggregate always returns its row"
        return found

    async def some_inactive(
        self, before: Millis, after: SessionId, limit: int
    ) -> list[tuple[AccountId, SessionId]]:
        return await self._executor.all(SOME_INACTIVE, before=before, after=after, limit=limit)

    async def sessions_there(self, ids: Sequence[str]) -> frozenset[str]:
        return frozenset(await self._executor.all(SESSIONS_THERE, ids=list(ids)))

    async def accounts_there(self, ids: Sequence[str]) -> frozenset[str]:
        return frozenset(await self._executor.all(ACCOUNTS_THERE, ids=list(ids)))
