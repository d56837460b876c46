"""Profile pictures in the file store."""

from typing import Protocol

from happy.domain.accounts import Avatar
from happy.domain.values import AccountId, Millis


class UploadRepository(Protocol):
    """Profile pictures in the file store."""

    async def reusable(self, reuse_key: str) -> Avatar | None:
        """The newest complete picture of any account that was stored under this key."""
        ...

    async def add(
        self, account_id: AccountId, file_id: str, avatar: Avatar, reuse_key: str, now: Millis
    ) -> None: ...
