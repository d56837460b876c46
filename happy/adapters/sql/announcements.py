"""Announcements of deletions by commands, in SQL."""

import msgspec

from happy.adapters.sql.statement import Executor, Statement, scalar
from happy.domain.announcements import Announcement

ADD: Statement[None] = Statement("announcements.ADD", scalar)
WAITING: Statement[str] = Statement("announcements.WAITING", scalar)
TAKE = Statement("announcements.TAKE", Announcement)


class SqlAnnouncements:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def add(self, announcement: Announcement) -> None:
        await self._executor.execute(ADD, **msgspec.structs.asdict(announcement))

    async def waiting(self) -> bool:
        return await self._executor.one(WAITING) is not None

    async def take(self, limit: int) -> list[Announcement]:
        taken = await self._executor.all(TAKE, limit=limit)
        return sorted(taken, key=lambda one: (one.created_at, one.id))
