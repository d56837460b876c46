"""What accounts store: sessions, attachments, and bytes of messages and attachments."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from happy.domain.values import AccountId, SessionId


class Stored(Struct):
    """What an account stores; of bytes and attachments, what was counted in sessions that are left."""

    sessions: int = 0
    bytes: int = 0
    attachments: int = 0


class Growth(Struct, frozen=True):
    """What was added to a session."""

    session_id: SessionId
    bytes: int
    attachments: int


class StorageRepository(Protocol):
    async def stored(self, account_id: AccountId) -> Stored:
        """Costs as much as the account has sessions."""
        ...

    async def has_sessions(self, account_id: AccountId, count: int) -> bool:
        """Whether the account has at least so many sessions."""
        ...

    async def grow(self, growths: Sequence[Growth]) -> None:
        """Add to the counters of sessions; those that are gone are left out."""
        ...
