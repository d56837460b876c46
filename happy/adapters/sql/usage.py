"""Usage reports in SQL."""

from happy.adapters.sql.accounts import SqlAccounts
from happy.adapters.sql.statement import Executor, Statement
from happy.domain.usage import SavedReport, StoredUsage, UsageReport
from happy.domain.values import AccountId, Millis, SessionId

SAVE = Statement("usage.SAVE", SavedReport)
REPLACE_WITHOUT_SESSION = Statement("usage.REPLACE_WITHOUT_SESSION", SavedReport)
BETWEEN = Statement("usage.BETWEEN", StoredUsage)
BETWEEN_OF_SESSION = Statement("usage.BETWEEN_OF_SESSION", StoredUsage)


class SqlUsage:
    def __init__(self, run: Executor) -> None:
        self._run = run

    async def save(
        self, account_id: AccountId, report_id: str, report: UsageReport, now: Millis
    ) -> SavedReport:
        values = {"account": account_id, "key": report.key, "data": report.data, "now": now}
        if report.session_id is None:
            await SqlAccounts(self._run).next_seq(account_id, 0, now)  # locks: two must not both insert
            replaced = await self._run.one(REPLACE_WITHOUT_SESSION, **values)
            if replaced is not None:
                return replaced
        saved = await self._run.one(SAVE, id=report_id, session=report.session_id, **values)
        assert saved is not None, "an upsert always returns its row"
        return saved

    async def between(
        self, account_id: AccountId, session_id: SessionId | None, since: Millis, until: Millis
    ) -> list[StoredUsage]:
        values = {"account": account_id, "since": since, "until": until}
        if session_id is None:
            return await self._run.all(BETWEEN, **values)
        return await self._run.all(BETWEEN_OF_SESSION, session=session_id, **values)
