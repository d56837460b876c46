"""The append-only log of session messages, which is the hot path of the store."""

from collections.abc import Sequence
from typing import Protocol

from happy.domain.listing import Large
from happy.domain.sessions import Appended, Message, MessageDraft
from happy.domain.values import AccountId, Millis, SessionId


class MessageLog(Protocol):
    """The append-only hot path. Each call is atomic by itself and costs one round trip."""

    async def append(
        self, account_id: AccountId, session_id: SessionId, drafts: Sequence[MessageDraft], now: Millis
    ) -> Appended:
        """Number and store `drafts` in order, find those whose local id is known, take update numbers.

        Drafts carry no local id twice. A draft that is found consumes no number. Raises NotFound.
        """
        ...

    async def after(
        self, account_id: AccountId, session_id: SessionId, seq: int, limit: int
    ) -> list[Message | Large]:
        """Messages with a greater `seq`, ascending. Raises NotFound."""
        ...

    async def before(
        self, account_id: AccountId, session_id: SessionId, seq: int, limit: int
    ) -> list[Message | Large]:
        """Messages with a smaller `seq`, descending. Raises NotFound."""
        ...

    async def one(self, account_id: AccountId, session_id: SessionId, seq: int) -> Message | None: ...

    async def newest(self, account_id: AccountId, session_id: SessionId, limit: int) -> list[Message | Large]:
        """The newest by creation time, descending. Raises NotFound."""
        ...
