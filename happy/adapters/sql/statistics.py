"""Row counts and sizes in SQL."""

from happy.adapters.sql.statement import Executor, Statement, scalar
from happy.domain.ports.repositories.statistics import MeasuredTable, RowCounts
from happy.domain.statistics import Activity, LargestAccount

ROWS = Statement("statistics.ROWS", RowCounts)
TABLES = Statement("statistics.TABLES", MeasuredTable)
DATABASE: Statement[int] = Statement("statistics.DATABASE", scalar)
ACTIVE = Statement("statistics.ACTIVE", Activity)
MESSAGES_BETWEEN: Statement[int] = Statement("statistics.MESSAGES_BETWEEN", scalar)
LARGEST_ACCOUNTS = Statement("statistics.LARGEST_ACCOUNTS", LargestAccount)


class SqlStatistics:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def rows(self) -> RowCounts:
        counts = await self._executor.one(ROWS)
        assert counts is not None, "a query without a table always returns its row"
        return counts

    async def tables(self) -> list[MeasuredTable]:
        return await self._executor.all(TABLES)

    async def database_bytes(self) -> int:
        return await self._executor.one(DATABASE) or 0

    async def active(self) -> Activity:
        counts = await self._executor.one(ACTIVE)
        assert counts is not None, "a query without a table always returns its row"
        return counts

    async def messages_between(self, first: str, end: str, limit: int) -> int:
        return await self._executor.one(MESSAGES_BETWEEN, first=first, end=end, limit=limit) or 0

    async def largest_accounts(self, limit: int) -> list[LargestAccount]:
        return await self._executor.all(LARGEST_ACCOUNTS, limit=limit)
