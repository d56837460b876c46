"""The posts in an account's feed."""

from typing import Protocol

from happy.domain.feed import FeedDraft, FeedItem
from happy.domain.values import AccountId, Millis


class FeedRepository(Protocol):
    async def post(self, account_id: AccountId, draft: FeedDraft, now: Millis) -> FeedItem:
        """Number and store a post, instead of an earlier one with its repeat key. Raises NotFound."""
        ...

    async def page(
        self, account_id: AccountId, before: int | None, after: int | None, limit: int
    ) -> list[FeedItem]:
        """Posts with a counter between the two, the newest first."""
        ...
