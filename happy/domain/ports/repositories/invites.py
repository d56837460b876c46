"""Invites, and the addresses that opened one."""

from typing import Protocol

from happy.domain.registration import Invite
from happy.domain.values import Millis


class InviteRepository(Protocol):
    """A code is known by its hash alone: nobody who reads the database can use an invite."""

    async def add(self, invite: Invite, code_hash: str) -> None: ...

    async def by_code(self, code_hash: str) -> Invite | None: ...

    async def all(self) -> list[Invite]:
        """The newest first."""
        ...

    async def drop(self, invite_id: str) -> bool:
        """Delete the invite with its openings; False if there is none."""
        ...

    async def open(self, invite_id: str, address: str, now: Millis, expires_at: Millis) -> None:
        """Let the address in until `expires_at`; one that is open already remains open for longer."""
        ...

    async def drop_openings(self, invite_id: str, keep: int) -> None:
        """Delete all openings of the invite but the newest `keep`."""
        ...

    async def opened_at(self, address: str, now: Millis) -> str | None:
        """An invite that this address has open and that is still good for an account."""
        ...

    async def use(self, invite_id: str) -> None:
        """Count one account."""
        ...

    async def drop_expired(self, openings: Millis, invites: Millis, limit: int) -> int:
        """Delete up to `limit` of what expired before these times; return how many."""
        ...
