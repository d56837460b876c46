"""The feed: notices to an account about other accounts, the newest first (protocol: http#get-v1feed)."""

import re

import msgspec
from msgspec import Struct

from happy.domain.errors import Invalid
from happy.domain.social import Notice
from happy.domain.values import AccountId, Millis

CURSOR = re.compile(r"0-([0-9]{1,100})")
MAX_COUNTER = 2**63 - 1


class FeedItem(Struct, frozen=True):
    """A stored post. `counter` orders the posts of one account; `body` is opaque JSON."""

    id: str
    body: msgspec.Raw
    repeat_key: str | None
    counter: int
    created_at: Millis

    @property
    def cursor(self) -> str:
        return f"0-{self.counter}"


class FeedDraft(Struct, frozen=True):
    """A post that is not stored yet. It replaces an earlier one with the same `repeat_key`."""

    id: str
    body: bytes
    """JSON text."""
    repeat_key: str | None


class FriendRequest(Struct, frozen=True, tag_field="kind", tag="friend_request"):
    uid: AccountId


class FriendAccepted(Struct, frozen=True, tag_field="kind", tag="friend_accepted"):
    uid: AccountId


def draft_of(notice: Notice, item_id: str) -> FeedDraft:
    kind = FriendRequest if notice.kind == "friend_request" else FriendAccepted
    return FeedDraft(item_id, msgspec.json.encode(kind(notice.other)), notice.repeat_key)


def counter_of(cursor: str) -> int:
    """The counter in a cursor; a larger one than any counter is allowed. Raises Invalid."""
    match = CURSOR.fullmatch(cursor)
    if match is None:
        raise Invalid("Invalid cursor")
    return min(int(match[1]), MAX_COUNTER)
