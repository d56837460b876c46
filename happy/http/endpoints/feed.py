"""The caller's feed (protocol: http#get-v1feed)."""

from typing import Annotated

import msgspec
from litestar.params import QueryParameter
from msgspec import Struct

from happy.domain.feed import FeedItem, counter_of
from happy.domain.values import Millis
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.requests import ApiRequest
from happy.services.feed import FeedService


class Post(Struct, rename="camel"):
    id: str
    body: msgspec.Raw
    repeat_key: str | None
    cursor: str
    created_at: Millis


class Page(Struct, rename="camel"):
    items: list[Post]
    has_more: bool


class FeedEndpoints:
    def __init__(self, feed: FeedService) -> None:
        self._feed = feed

    def endpoints(self) -> list[Endpoint]:
        return [Endpoint("GET", "/v1/feed", self.page)]

    async def page(
        self,
        request: ApiRequest,
        before: Annotated[str | None, QueryParameter()] = None,
        after: Annotated[str | None, QueryParameter()] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
    ) -> Page:
        """Posts of the caller's feed, the newest first, before or after a cursor."""
        page = await self._feed.page(request.account_id, _counter(before), _counter(after), limit)
        return Page([_post(item) for item in page.items], page.has_more)


def _counter(cursor: str | None) -> int | None:
    return None if cursor is None else counter_of(cursor)


def _post(item: FeedItem) -> Post:
    return Post(
        id=item.id,
        body=item.body,
        repeat_key=item.repeat_key,
        cursor=item.cursor,
        created_at=item.created_at,
    )
