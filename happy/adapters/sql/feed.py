"""Feeds in SQL."""

import msgspec

from happy.adapters.sql.statement import Executor, Statement, scalar
from happy.domain.errors import NotFound
from happy.domain.feed import MAX_COUNTER, FeedDraft, FeedItem
from happy.domain.values import AccountId, Millis

TAKE_COUNTER: Statement[int] = Statement("feed.TAKE_COUNTER", scalar)
DROP_REPEATED: Statement[None] = Statement("feed.DROP_REPEATED", scalar)
ADD: Statement[None] = Statement("feed.ADD", scalar)
PAGE = Statement("feed.PAGE", FeedItem)

BEFORE_EVERY_COUNTER = -1


class SqlFeed:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def post(self, account_id: AccountId, draft: FeedDraft, now: Millis) -> FeedItem:
        counter = await self._executor.one(TAKE_COUNTER, account=account_id, now=now)
        if counter is None:
            raise NotFound("account not found")
        if draft.repeat_key is not None:
            await self._executor.execute(DROP_REPEATED, account=account_id, repeat_key=draft.repeat_key)
        await self._executor.execute(
            ADD,
            id=draft.id,
            account=account_id,
            counter=counter,
            repeat_key=draft.repeat_key,
            body=draft.body.decode(),
            now=now,
        )
        return FeedItem(draft.id, msgspec.Raw(draft.body), draft.repeat_key, counter, now)

    async def page(
        self, account_id: AccountId, before: int | None, after: int | None, limit: int
    ) -> list[FeedItem]:
        return await self._executor.all(
            PAGE,
            account=account_id,
            before=MAX_COUNTER if before is None else before,
            after=BEFORE_EVERY_COUNTER if after is None else after,
            limit=limit,
        )
