"""Uploaded profile pictures in SQL."""

from happy.adapters.sql.statement import Executor, Statement, scalar
from happy.domain.accounts import Avatar
from happy.domain.values import AccountId, Millis

REUSABLE = Statement("uploads.REUSABLE", Avatar)
ADD: Statement[None] = Statement("uploads.ADD", scalar)


class SqlUploads:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def reusable(self, reuse_key: str) -> Avatar | None:
        return await self._executor.one(REUSABLE, reuse_key=reuse_key)

    async def add(
        self, account_id: AccountId, file_id: str, avatar: Avatar, reuse_key: str, now: Millis
    ) -> None:
        await self._executor.execute(
            ADD,
            id=file_id,
            account=account_id,
            path=avatar.path,
            width=avatar.width,
            height=avatar.height,
            thumbhash=avatar.thumbhash,
            reuse_key=reuse_key,
            now=now,
        )
