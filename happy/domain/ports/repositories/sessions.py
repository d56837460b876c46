"""Sessions: their metadata, agent state and activity."""

from collections.abc import Sequence
from typing import Protocol

from happy.domain.listing import Large
from happy.domain.sessions import Session
from happy.domain.values import AccountId, Millis, SessionId, Swap


class SessionRepository(Protocol):
    async def add(self, session: Session) -> bool:
        """Store `session` unless its account already has one with that tag."""
        ...

    async def by_tag(self, account_id: AccountId, tag: str) -> Session | None: ...

    async def get(self, account_id: AccountId, session_id: SessionId) -> Session | None: ...

    async def recent(self, account_id: AccountId, limit: int) -> list[Session | Large]:
        """The most recently updated first."""
        ...

    async def active(self, account_id: AccountId, since: Millis, limit: int) -> list[Session | Large]:
        """Active sessions last seen after `since`, the latest seen first."""
        ...

    async def page(
        self, account_id: AccountId, before: SessionId | None, changed_since: Millis | None, limit: int
    ) -> list[Session | Large]:
        """Descending by id, only ids before `before`, only sessions updated after `changed_since`."""
        ...

    async def swap_metadata(
        self, account_id: AccountId, session_id: SessionId, expected: int, value: str, now: Millis
    ) -> Swap[str]:
        """Raises NotFound."""
        ...

    async def swap_agent_state(
        self, account_id: AccountId, session_id: SessionId, expected: int, value: str | None, now: Millis
    ) -> Swap[str | None]:
        """Raises NotFound."""
        ...

    async def mark_active(self, seen: Sequence[tuple[SessionId, Millis, Millis]], now: Millis) -> None:
        """Record many heartbeats: the time that each names, and when it was received.

        One that is not newer than what is stored only sets the session active; one that was received before
        the session was stopped does nothing.
        """
        ...

    async def mark_stopped(
        self, account_id: AccountId, session_id: SessionId, at: Millis, now: Millis
    ) -> bool:
        """Make the session inactive, last seen at `at`. False when it is not this account's."""
        ...

    async def mark_idle(self, deadline: Millis, limit: int) -> list[tuple[AccountId, SessionId, Millis]]:
        """Deactivate up to `limit` sessions last seen by `deadline`; return whose and when last seen."""
        ...

    async def silent(
        self, deadline: Millis, after: tuple[Millis, str], limit: int
    ) -> list[tuple[AccountId, SessionId, Millis]]:
        """Active sessions last seen by `deadline`, in the order of that time and their ids.

        `after` is the time and id of the last one of the page before.
        """
        ...

    async def mark_gone(
        self, account_id: AccountId, session_ids: Sequence[SessionId], seen_by: Millis
    ) -> list[tuple[SessionId, Millis]]:
        """Deactivate those that are active and were last seen by that time; return when each was."""
        ...

    async def delete(self, account_id: AccountId, session_id: SessionId, now: Millis) -> bool:
        """Hide the session with all that belongs to it, whatever its size; `deletions` has more to do."""
        ...
