"""Relations between two accounts."""

from typing import Protocol

from happy.domain.social import Relation, Status
from happy.domain.values import AccountId, Millis


class SocialRepository(Protocol):
    async def pair(self, one: AccountId, other: AccountId) -> tuple[Relation, Relation] | None:
        """Both directions, locked for this transaction. None when an account does not exist."""
        ...

    async def save(self, owner: AccountId, other: AccountId, status: Status, now: Millis) -> None:
        """Set what `owner` wants of `other`; when `owner` was last notified is kept."""
        ...

    async def mark_notified(self, owner: AccountId, other: AccountId, now: Millis) -> None: ...
