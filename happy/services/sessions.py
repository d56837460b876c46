"""Create, list, update, stop and delete sessions (protocol: http#sessions, realtime#session-events)."""

from typing import TypeVar

from happy.domain.errors import NotFound
from happy.domain.events import (
    TO_USER,
    DeleteSession,
    SessionActivity,
    UpdateSession,
    VersionedValue,
    new_session,
    to_session,
)
from happy.domain.ids import new_id
from happy.domain.listing import Large
from happy.domain.ports.clock import Clock
from happy.domain.ports.store import Store
from happy.domain.sessions import Session
from happy.domain.values import MINUTE, AccountId, Millis, SessionId, Swap
from happy.limits import limit
from happy.services.activity import Activity
from happy.services.deletions import Deletions
from happy.services.quotas import QuotaService
from happy.services.unit_of_work import Changes, UnitOfWork

MAX_LISTED = limit(150, "sessions in one list", per="request", then="older ones are not in the list")
ACTIVE_WINDOW = 15 * MINUTE
T = TypeVar("T")


class SessionService:
    def __init__(
        self,
        store: Store,
        unit_of_work: UnitOfWork,
        activity: Activity,
        deletions: Deletions,
        clock: Clock,
        quotas: QuotaService | None = None,
    ) -> None:
        self._store = store
        self._unit_of_work = unit_of_work
        self._activity = activity
        self._deletions = deletions
        self._clock = clock
        self._quotas = quotas or QuotaService(store)

    async def load_or_create(
        self, account_id: AccountId, tag: str, metadata: str, data_encryption_key: bytes | None
    ) -> Session:
        """The session with this tag, created when there is none. Heartbeats of a stopped one count again.

        Raises OverQuota.
        """

        async def add(changes: Changes) -> Session:
            session = _fresh(account_id, tag, metadata, data_encryption_key, changes.now)
            if not await changes.tx.sessions.add(session):
                existing = await changes.tx.sessions.by_tag(account_id, tag)
                assert existing is not None, "the conflicting row cannot vanish inside a transaction"
                return existing
            changes.record(account_id, TO_USER, new_session(session))
            return session

        session = await self._store.read(lambda tx: tx.sessions.by_tag(account_id, tag))
        if session is None:
            await self._quotas.admit_session(account_id)
            session = await self._unit_of_work.run(add)
        self._activity.resume(account_id, session.id)
        return session

    async def get(self, account_id: AccountId, session_id: SessionId) -> Session | None:
        return await self._store.read(lambda tx: tx.sessions.get(account_id, session_id))

    async def recent(self, account_id: AccountId) -> list[Session | Large]:
        return await self._store.read(lambda tx: tx.sessions.recent(account_id, MAX_LISTED))

    async def active(self, account_id: AccountId, limit: int) -> list[Session | Large]:
        since = Millis(self._clock() - ACTIVE_WINDOW)
        return await self._store.read(lambda tx: tx.sessions.active(account_id, since, limit))

    async def page(
        self, account_id: AccountId, before: SessionId | None, changed_since: Millis | None, limit: int
    ) -> tuple[list[Session | Large], bool]:
        """One page in descending id order, and whether there is another."""
        rows = await self._store.read(
            lambda tx: tx.sessions.page(account_id, before, changed_since, limit + 1)
        )
        return rows[:limit], len(rows) > limit

    async def update_metadata(
        self, account_id: AccountId, session_id: SessionId, expected: int, value: str
    ) -> Swap[str]:
        """Replace the metadata if its version is still `expected`. Raises NotFound."""

        async def swap(changes: Changes) -> Swap[str]:
            outcome = await changes.tx.sessions.swap_metadata(
                account_id, session_id, expected, value, changes.now
            )
            if outcome.won:
                part = VersionedValue(value, outcome.current.version)
                changes.record(account_id, to_session(session_id), UpdateSession(session_id, metadata=part))
            return outcome

        return self._resumed(account_id, session_id, await self._unit_of_work.run(swap))

    async def update_agent_state(
        self, account_id: AccountId, session_id: SessionId, expected: int, value: str | None
    ) -> Swap[str | None]:
        """Replace the agent state if its version is still `expected`. Raises NotFound."""

        async def swap(changes: Changes) -> Swap[str | None]:
            outcome = await changes.tx.sessions.swap_agent_state(
                account_id, session_id, expected, value, changes.now
            )
            if outcome.won:
                part = VersionedValue(value, outcome.current.version)
                changes.record(
                    account_id, to_session(session_id), UpdateSession(session_id, agent_state=part)
                )
            return outcome

        return self._resumed(account_id, session_id, await self._unit_of_work.run(swap))

    async def archive(self, account_id: AccountId, session_id: SessionId) -> None:
        """Stop the session now. A repeated call announces it again. Raises NotFound."""
        await self.stop(account_id, session_id, self._clock())

    async def stop(self, account_id: AccountId, session_id: SessionId, at: Millis) -> None:
        """Set the session inactive, last seen at `at`, and ignore late heartbeats. Raises NotFound."""
        now = self._clock()

        async def deactivate(changes: Changes) -> None:
            if not await changes.tx.sessions.mark_stopped(account_id, session_id, at, now):
                raise NotFound
            changes.announce(account_id, SessionActivity(session_id, active=False, active_at=at))

        def suppress(_: None) -> None:
            self._activity.suppress(account_id, session_id)

        await self._unit_of_work.run(deactivate, committed=suppress)

    async def delete(self, account_id: AccountId, session_id: SessionId) -> None:
        """Hide the session at once; its rows and files are removed in the background. Raises NotFound."""

        async def remove(changes: Changes) -> None:
            if not await changes.tx.sessions.delete(account_id, session_id, changes.now):
                raise NotFound
            changes.record(account_id, TO_USER, DeleteSession(session_id))

        await self._unit_of_work.run(remove)
        self._activity.suppress(account_id, session_id)
        self._deletions.wake()

    def _resumed(self, account_id: AccountId, session_id: SessionId, outcome: Swap[T]) -> Swap[T]:
        """A session that writes is running: an agent resumes it without creating it first."""
        if outcome.won:
            self._activity.resume(account_id, session_id)
        return outcome


def _fresh(
    account_id: AccountId, tag: str, metadata: str, data_encryption_key: bytes | None, now: Millis
) -> Session:
    return Session(
        id=SessionId(new_id(now)),
        account_id=account_id,
        tag=tag,
        seq=0,
        metadata=metadata,
        metadata_version=0,
        agent_state=None,
        agent_state_version=0,
        data_encryption_key=data_encryption_key,
        active=True,
        last_active_at=now,
        created_at=now,
        updated_at=now,
    )
