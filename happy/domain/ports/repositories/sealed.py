"""What is stored sealed, of all accounts, to seal it again with another master secret."""

from typing import Protocol

from happy.domain.sealed import SealedCount, SealedKind, SealedValue


class SealedRepository(Protocol):
    async def counts(self, kind: SealedKind) -> list[SealedCount]:
        """By the id of the secret's key, without opening any."""
        ...

    async def page(self, kind: SealedKind, after: str, key_id: str, limit: int) -> list[SealedValue]:
        """Values that are not known to be sealed with the secret `key_id`, in the order of their ids."""
        ...

    async def replace(self, kind: SealedKind, value: SealedValue, blob: bytes, key_id: str) -> bool:
        """Store `blob` instead, unless the value has changed meanwhile; whether it was stored."""
        ...
