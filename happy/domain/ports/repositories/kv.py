"""The key-value entries of an account."""

from collections.abc import Sequence
from typing import Protocol

from happy.domain.artifacts import KvEntry, KvMutation
from happy.domain.listing import Large
from happy.domain.values import AccountId, Millis


class KvRepository(Protocol):
    async def get_many(self, account_id: AccountId, keys: Sequence[str]) -> dict[str, KvEntry]:
        """Stored entries by key, deleted ones included."""
        ...

    async def given(self, account_id: AccountId, keys: Sequence[str]) -> list[KvEntry | Large]:
        """Entries that have one of these keys, without deleted ones."""
        ...

    async def page(self, account_id: AccountId, prefix: str, limit: int) -> list[KvEntry | Large]:
        """Entries whose key begins with `prefix`, by code points ascending, without deleted ones."""
        ...

    async def put(
        self, account_id: AccountId, entry_id: str, mutation: KvMutation, now: Millis
    ) -> int | None:
        """Store the value and return its version, or None when the expected version is not the stored one."""
        ...
