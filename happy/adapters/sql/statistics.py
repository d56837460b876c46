"""Row counts in SQL."""

from happy.adapters.sql.statement import Executor, Statement
from happy.domain.ports.repositories.statistics import RowCounts

ROWS = Statement("statistics.ROWS", RowCounts)


class SqlStatistics:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def rows(self) -> RowCounts:
        counts = await self._executor.one(ROWS)
        assert counts is not None, "a query without a table always returns its row"
        return counts
