"""Administration of accounts in SQL."""

from happy.adapters.sql.statement import Executor, Statement
from happy.domain.administration import AccountRecord, Belongings
from happy.domain.values import AccountId

PAGE = Statement("administration.PAGE", AccountRecord)
FIND = Statement("administration.FIND", AccountRecord)
BELONGINGS = Statement("administration.BELONGINGS", Belongings)


class SqlAdministration:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def page(self, after: AccountId, limit: int) -> list[AccountRecord]:
        return await self._executor.all(PAGE, after=after, limit=limit)

    async def find(self, account: str, public_key: str) -> list[AccountRecord]:
        return await self._executor.all(FIND, account=account, public_key=public_key)

    async def belongings(self, account_id: AccountId) -> Belongings:
        found = await self._executor.one(BELONGINGS, account=account_id)
        assert found is not None, "a query without a table always returns its row"
        return found
