"""Deleted accounts, sessions and machines, whose rows are removed in the background."""

from typing import Literal, Protocol

from happy.domain.values import AccountId, Millis

Deletable = Literal["account", "session", "machine"]
"""In the order in which they are removed: the sessions of a deleted account become deleted sessions."""


class DeletionRepository(Protocol):
    """Deleted accounts, sessions and machines: hidden already, but their rows are removed a few at a time."""

    async def hide_account(self, account_id: AccountId, now: Millis) -> None:
        """Take key, names and pictures from the account: whoever signs in with its key gets another one.

        It is removed once its revocation says that it was deleted.
        """
        ...

    async def pictures_in_use(self, account_id: AccountId, folder: str) -> bool:
        """Whether another account shows a picture in this folder of the file store."""
        ...

    async def claim(self, kind: Deletable, now: Millis) -> str | None:
        """The id of one that is due by `now`; it is locked for this transaction."""
        ...

    async def remove(self, kind: Deletable, target: str, limit: int) -> int:
        """Remove up to `limit` rows of what was deleted and return how many; 0 when there are none left."""
        ...

    async def finish(self, kind: Deletable, target: str) -> bool:
        """Remove the account, session or machine itself. False when something belongs to it after all."""
        ...

    async def postpone(self, kind: Deletable, target: str, until: Millis) -> None:
        """Try again at `until`: it could not be finished now."""
        ...
