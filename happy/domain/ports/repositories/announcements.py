"""Deletions by commands, which a server announces."""

from typing import Protocol

from happy.domain.announcements import Announcement


class AnnouncementRepository(Protocol):
    async def add(self, announcement: Announcement) -> None:
        """Add it, in the transaction of the deletion."""
        ...

    async def waiting(self) -> bool:
        """Whether there is any that this release knows how to announce."""
        ...

    async def take(self, limit: int) -> list[Announcement]:
        """Remove and return up to `limit`, the oldest first; concurrent replicas take different ones.

        Kinds that this release does not know are left for one that does.
        """
        ...
