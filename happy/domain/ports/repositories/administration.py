"""Accounts as the operator sees them."""

from typing import Protocol

from happy.domain.administration import AccountRecord, Belongings
from happy.domain.values import AccountId


class AdministrationRepository(Protocol):
    async def page(self, after: AccountId, limit: int) -> list[AccountRecord]:
        """Accounts in the order of their ids, those behind `after`."""
        ...

    async def find(self, account: str, public_key: str) -> list[AccountRecord]:
        """Those with this id, username, or public key in upper-case hex."""
        ...

    async def belongings(self, account_id: AccountId) -> Belongings: ...
