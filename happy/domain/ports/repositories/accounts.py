"""Accounts with their settings, update numbers and push tokens."""

from collections.abc import Collection
from typing import Protocol

from happy.domain.accounts import Account, PushToken, Settings
from happy.domain.values import AccountId, Millis, Swap


class AccountRepository(Protocol):
    async def upsert(self, account_id: AccountId, public_key: str, now: Millis) -> AccountId:
        """Create the account, or return the id of the one that has this public key (upper-case hex)."""
        ...

    async def touch(self, public_key: str, now: Millis) -> AccountId | None:
        """The account of this public key (upper-case hex), if there is one; its `updated_at` moves."""
        ...

    async def is_known(self, public_key: str) -> bool:
        """Whether there is an account with this public key (upper-case hex)."""
        ...

    async def existing(self, account_ids: Collection[AccountId]) -> list[AccountId]:
        """The ids of them that exist."""
        ...

    async def get(self, account_id: AccountId) -> Account | None: ...

    async def connected_services(self, account_id: AccountId) -> list[str]:
        """Vendors with a stored token, the earliest stored first."""
        ...

    async def settings(self, account_id: AccountId) -> Settings | None: ...

    async def swap_settings(
        self, account_id: AccountId, expected: int, value: str | None, now: Millis
    ) -> Swap[str | None]:
        """Raises NotFound."""
        ...

    async def next_seq(self, account_id: AccountId, count: int, now: Millis) -> int:
        """Take `count` update numbers and return the last. Raises NotFound."""
        ...

    async def push_tokens(self, account_id: AccountId) -> list[PushToken]:
        """The newest created first."""
        ...

    async def add_push_token(self, account_id: AccountId, token_id: str, token: str, now: Millis) -> None:
        """Register the token; one that is known only moves its `updated_at`. Raises NotFound."""
        ...

    async def drop_push_token(self, account_id: AccountId, token: str) -> None: ...

    async def take_push_token(self, account_id: AccountId, token: str) -> None:
        """Drop the token from every other account."""
        ...
