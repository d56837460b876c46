"""The audit log in SQL."""

from happy.adapters.sql.statement import Executor, Statement, scalar
from happy.domain.audit import AuditEntry
from happy.domain.values import Millis

ADD: Statement[None] = Statement("audit.ADD", scalar)
SINCE = Statement("audit.SINCE", AuditEntry)
DROP_OLD: Statement[str] = Statement("audit.DROP_OLD", scalar)
DROP_SURPLUS: Statement[str] = Statement("audit.DROP_SURPLUS", scalar)


class SqlAudit:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def add(self, entry: AuditEntry) -> None:
        await self._executor.execute(
            ADD,
            id=entry.id,
            now=entry.time,
            actor=entry.actor,
            action=entry.action,
            subject=entry.subject,
            detail=entry.detail,
        )

    async def since(self, moment: Millis, limit: int) -> list[AuditEntry]:
        return await self._executor.all(SINCE, since=moment, limit=limit)

    async def prune(self, before: Millis, keep: int, limit: int) -> int:
        dropped = await self._executor.all(DROP_OLD, before=before, limit=limit)
        if not dropped:
            dropped = await self._executor.all(DROP_SURPLUS, keep=keep, limit=limit)
        return len(dropped)
