"""Finds sessions for the operator of the server, and deletes them beside running servers."""

from happy.domain.administration import SessionRecord
from happy.domain.errors import NotFound
from happy.domain.ports.clock import Clock
from happy.domain.ports.store import Store, Transaction
from happy.domain.values import AccountId, SessionId
from happy.services.announcements import announce
from happy.services.audit import record


class SessionDirectory:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def page(
        self, account_id: AccountId, after: SessionId | None, limit: int
    ) -> tuple[list[SessionRecord], bool]:
        """The newest first, those behind `after`, and whether there are more."""
        found = await self._store.read(lambda tx: tx.administration.sessions(account_id, after, limit + 1))
        return found[:limit], len(found) > limit

    async def find(self, session_id: str) -> SessionRecord:
        """Raises NotFound."""
        found = await self._store.read(lambda tx: tx.administration.session(SessionId(session_id)))
        if found is None:
            raise NotFound(
                f"there is no session {session_id!r}: `happy-server sessions list ACCOUNT` shows them"
            )
        return found

    async def delete(self, session: SessionRecord) -> None:
        """Hide the session at once, for ever; servers announce it and remove its rows and files.

        Raises NotFound when it was deleted meanwhile.
        """
        now = self._clock()

        async def delete(tx: Transaction) -> None:
            if not await tx.sessions.delete(session.account_id, session.id, now):
                raise NotFound("the session was deleted already")
            await announce(tx, session.account_id, "session", session.id, now)
            await record(
                tx, now, "command line", "session.delete", session.id, f"account {session.account_id}"
            )

        await self._store.write(delete)
