"""Deleted sessions and machines whose rows are removed in the background."""

from typing import Literal, Protocol

from happy.domain.values import Millis

Deletable = Literal["session", "machine"]


class DeletionRepository(Protocol):
    """What was deleted and is hidden already, but still has rows: they go a few at a time."""

    async def claim(self, kind: Deletable, now: Millis) -> str | None:
        """The id of one that is due by `now`, which until the commit is nobody else's to claim."""
        ...

    async def remove(self, kind: Deletable, target: str, limit: int) -> int:
        """Remove up to `limit` rows of what was deleted and return how many; 0 when there are none left."""
        ...

    async def finish(self, kind: Deletable, target: str) -> bool:
        """Remove the session or machine itself. False when something belongs to it after all."""
        ...

    async def postpone(self, kind: Deletable, target: str, until: Millis) -> None:
        """Let others come first: it could not be finished now."""
        ...
