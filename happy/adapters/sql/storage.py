"""What accounts store, in SQL."""

from collections.abc import Sequence

import msgspec

from happy.adapters.sql.statement import Executor, Statement, scalar
from happy.domain.ports.repositories.storage import Growth, Stored
from happy.domain.values import AccountId

STORED = Statement("storage.STORED", Stored)
NTH_SESSION: Statement[str] = Statement("storage.NTH_SESSION", scalar)
GROW: Statement[None] = Statement("storage.GROW", scalar)


class SqlStorage:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def stored(self, account_id: AccountId) -> Stored:
        found = await self._executor.one(STORED, account=account_id)
        return found or Stored()

    async def has_sessions(self, account_id: AccountId, count: int) -> bool:
        if count <= 0:
            return True
        return await self._executor.one(NTH_SESSION, account=account_id, skip=count - 1) is not None

    async def grow(self, growths: Sequence[Growth]) -> None:
        await self._executor.execute_many(GROW, [msgspec.structs.asdict(growth) for growth in growths])
