"""Accounts as other accounts see them."""

from typing import Protocol

from happy.domain.people import Person
from happy.domain.values import AccountId


class PeopleRepository(Protocol):
    """Accounts with the status that they have for another account, `viewer`."""

    async def get(self, viewer: AccountId, account_id: AccountId) -> Person | None: ...

    async def search(self, viewer: AccountId, prefix: str, limit: int) -> list[Person]:
        """Accounts whose username begins with `prefix` but for the case of ASCII letters, by username."""
        ...

    async def friends(self, viewer: AccountId) -> list[Person]:
        """Friends, and pending friend requests, both received and sent."""
        ...
