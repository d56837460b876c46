"""Deleted sessions and machines whose rows are removed in the background."""

from typing import Literal, Protocol

from happy.domain.values import Millis

Deletable = Literal["session", "machine"]


class DeletionRepository(Protocol):
    """Deleted sessions and machines: hidden already, but their rows are removed a few at a time."""

    async def claim(self, kind: Deletable, now: Millis) -> str | None:
        """The id of one that is due by `now`; it is locked for this transaction."""
        ...

    async def remove(self, kind: Deletable, target: str, limit: int) -> int:
        """Remove up to `limit` rows of what was deleted and return how many; 0 when there are none left."""
        ...

    async def finish(self, kind: Deletable, target: str) -> bool:
        """Remove the session or machine itself. False when something belongs to it after all."""
        ...

    async def postpone(self, kind: Deletable, target: str, until: Millis) -> None:
        """Try again at `until`: it could not be finished now."""
        ...
