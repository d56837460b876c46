"""Post to an account's feed and page through it (protocol: http#get-v1feed)."""

from msgspec import Struct

from happy.domain.events import TO_USER, new_feed_post
from happy.domain.feed import FeedDraft, FeedItem
from happy.domain.ports.store import Store
from happy.domain.values import AccountId
from happy.services.unit_of_work import Changes


class FeedPage(Struct, frozen=True):
    items: list[FeedItem]
    has_more: bool


class FeedService:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(
        self, account_id: AccountId, before: int | None, after: int | None, limit: int
    ) -> FeedPage:
        """The newest posts older than the counter `before`, or else newer than `after`."""
        if before is not None:
            after = None
        rows = await self._store.read(lambda tx: tx.feed.page(account_id, before, after, limit + 1))
        return FeedPage(rows[:limit], has_more=len(rows) > limit)


async def post(changes: Changes, account_id: AccountId, draft: FeedDraft) -> None:
    """Put a post on top of the feed, as part of a larger change. Raises NotFound."""
    item = await changes.tx.feed.post(account_id, draft, changes.now)
    changes.record(account_id, TO_USER, new_feed_post(item))
