"""Claims on backups, and the last one, in SQL."""

from happy.adapters.sql.statement import Executor, Statement, scalar
from happy.domain.backups import BackupRecord
from happy.domain.values import Millis

CLAIM: Statement[str] = Statement("backups.CLAIM", scalar)
RELEASE: Statement[None] = Statement("backups.RELEASE", scalar)
RECORD: Statement[None] = Statement("backups.RECORD", scalar)
LAST = Statement("backups.LAST", BackupRecord)


class SqlBackups:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def claim(self, target: str, holder: str, now: Millis, until: Millis) -> bool:
        claimed = await self._executor.one(CLAIM, target=target, holder=holder, now=now, until=until)
        return claimed is not None

    async def release(self, target: str, holder: str, until: Millis) -> None:
        await self._executor.execute(RELEASE, target=target, holder=holder, until=until)

    async def record(self, target: str, made: BackupRecord) -> None:
        await self._executor.execute(
            RECORD,
            target=target,
            made_at=made.made_at,
            name=made.name,
            bytes=made.bytes,
            milliseconds=made.milliseconds,
        )

    async def last(self, target: str) -> BackupRecord | None:
        return await self._executor.one(LAST, target=target)
