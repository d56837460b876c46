"""Revocations, and the uses of tokens, which show whom a revocation affects."""

from collections.abc import Sequence
from typing import Protocol

from happy.domain.revocations import Revocation, TokenUse
from happy.domain.values import AccountId, Millis


class RevocationRepository(Protocol):
    async def after(self, revision: int, limit: int) -> list[Revocation]:
        """What changed after `revision`, in the order of the changes."""
        ...

    async def lock(self, now: Millis) -> int:
        """The next revision; until this transaction ends no other can change a revocation.

        So revisions become visible in their order, and a reader that has seen one has missed none before it.
        """
        ...

    async def of_account(self, account_id: AccountId) -> Revocation | None:
        """The row of the account itself."""
        ...

    async def save(self, revocation: Revocation) -> None:
        """Add or replace the row of this account or token; `revision` is from `lock`."""
        ...

    async def revoked_tokens(self, account_id: AccountId, limit: int) -> list[str]:
        """Ids of the account's revoked tokens."""
        ...

    async def forget_deleted(self, before: Millis, limit: int) -> int:
        """Drop rows of accounts deleted before then, whose rows are gone; returns how many."""
        ...


class TokenUseRepository(Protocol):
    async def save(self, uses: Sequence[TokenUse]) -> None:
        """Add them, or move what is known on. An empty device keeps the one that is stored.

        Uses of accounts that are gone are left out.
        """
        ...

    async def of_account(self, account_id: AccountId, limit: int) -> list[TokenUse]:
        """Those that were last seen latest."""
        ...

    async def find(self, token_id: str) -> TokenUse | None: ...

    async def trim(self, account_id: AccountId, keep: int) -> None:
        """Drop all but the `keep` that were last seen latest."""
        ...
