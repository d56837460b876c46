"""Requests to link a device to an account."""

from typing import Protocol

from happy.domain.accounts import PairingKind, PairingRequest
from happy.domain.values import AccountId, Millis


class PairingRepository(Protocol):
    async def get(self, kind: PairingKind, public_key: str) -> PairingRequest | None: ...

    async def open(
        self, kind: PairingKind, request_id: str, public_key: str, now: Millis, *, supports_v2: bool
    ) -> PairingRequest:
        """Create the request, or return the one that exists for this key."""
        ...

    async def reopen(
        self, kind: PairingKind, public_key: str, now: Millis, *, supports_v2: bool
    ) -> PairingRequest:
        """Reset an expired request: its response is deleted."""
        ...

    async def answer(
        self, kind: PairingKind, public_key: str, account_id: AccountId, response: str, now: Millis
    ) -> bool:
        """Store the answer unless there is a non-empty one already."""
        ...

    async def pick_up(self, kind: PairingKind, public_key: str, now: Millis) -> None:
        """Write down when the answer was handed out, the first time alone."""
        ...

    async def drop_unanswered(self, deadline: Millis, limit: int) -> int:
        """Delete up to `limit` unanswered requests that were last touched before `deadline`.

        Return how many; 0 when there are none left.
        """
        ...

    async def drop_answered(self, deadline: Millis, limit: int) -> int:
        """Delete up to `limit` requests that were answered before `deadline`, in the same way."""
        ...
