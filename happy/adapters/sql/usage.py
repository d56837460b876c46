"""Usage reports in SQL."""

from typing import Any, NamedTuple

import msgspec

from happy.adapters.sql.accounts import SqlAccounts
from happy.adapters.sql.statement import Executor, Statement
from happy.domain.usage import (
    MAX_PORTION_SUMS,
    ReportCursor,
    SavedReport,
    UsagePortion,
    UsageRange,
    UsageReport,
    UsageSum,
)
from happy.domain.values import AccountId, Millis

SAVE = Statement("usage.SAVE", SavedReport)
REPLACE_WITHOUT_SESSION = Statement("usage.REPLACE_WITHOUT_SESSION", SavedReport)

PORTION = 1_000
"""Reports per portion; between portions other statements can run."""


def _count(start: Millis, count: int) -> tuple[Millis, int]:
    return start, count


def _sum(start: Millis, name: str, value: float | str) -> UsageSum:
    if isinstance(value, str):  # PostgreSQL returns one type: text
        return UsageSum(start, name, msgspec.json.decode(value, type=float | int))
    return UsageSum(start, name, value)


class Queries(NamedTuple):
    last: Statement[ReportCursor]
    counts: Statement[tuple[Millis, int]]
    tokens: Statement[UsageSum]
    costs: Statement[UsageSum]


def _queries(whose: str) -> Queries:
    return Queries(
        Statement(f"usage.LAST{whose}", ReportCursor),
        Statement(f"usage.COUNTS{whose}", _count),
        Statement(f"usage.TOKENS{whose}", _sum),
        Statement(f"usage.COSTS{whose}", _sum),
    )


QUERIES = (_queries(""), _queries("_OF_SESSION"))
"""For all sessions of an account, and for one."""


class SqlUsage:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def save(
        self, account_id: AccountId, report_id: str, report: UsageReport, now: Millis
    ) -> SavedReport:
        values = {"account": account_id, "key": report.key, "data": report.data, "now": now}
        if report.session_id is None:
            # This locks the account, so that concurrent requests cannot both insert.
            await SqlAccounts(self._executor).next_seq(account_id, 0, now)
            replaced = await self._executor.one(REPLACE_WITHOUT_SESSION, **values)
            if replaced is not None:
                return replaced
        saved = await self._executor.one(SAVE, id=report_id, session=report.session_id, **values)
        assert saved is not None, "an upsert always returns its row"
        return saved

    async def portion(self, account_id: AccountId, wanted: UsageRange) -> UsagePortion:
        queries, after = QUERIES[wanted.session_id is not None], wanted.after
        values: dict[str, Any] = {"account": account_id, "session": wanted.session_id}
        values.update(after_at=after.created_at, after_id=after.id)
        last = await self._executor.one(queries.last, **values, until=wanted.until, skip=PORTION - 1)
        end = last or ReportCursor(Millis(wanted.until + 1), "")
        values.update(last_at=end.created_at, last_id=end.id, length=wanted.length)
        counts = await self._executor.all(queries.counts, **values)
        if not counts:
            return UsagePortion([], [], [], None)
        tokens = await self._executor.all(queries.tokens, **values, limit=MAX_PORTION_SUMS)
        costs = await self._executor.all(queries.costs, **values, limit=MAX_PORTION_SUMS)
        return UsagePortion(counts, tokens, costs, last)
