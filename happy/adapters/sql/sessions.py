"""Sessions in SQL."""

from collections.abc import Sequence

import msgspec

from happy.adapters.sql.statement import Executor, Listing, Statement, scalar
from happy.domain.errors import NotFound
from happy.domain.listing import Large
from happy.domain.sessions import Session
from happy.domain.values import FUTURE_AFTER, AccountId, Millis, SessionId, Swap, Versioned

LARGE = ("id", "metadata", "agent_state", "data_encryption_key", "tag")
"""The key of a session, and its contents."""

ADD: Statement[SessionId] = Statement("sessions.ADD", scalar)
BY_TAG = Statement("sessions.BY_TAG", Session)
GET = Statement("sessions.GET", Session)
RECENT = Listing("sessions.RECENT", Session, *LARGE)
ACTIVE = Listing("sessions.ACTIVE", Session, *LARGE)
PAGE = Listing("sessions.PAGE", Session, *LARGE)
CHANGED: Statement[SessionId] = Statement("sessions.CHANGED", scalar)
BY_IDS = Listing("sessions.BY_IDS", Session, *LARGE)
SWAP_METADATA: Statement[Versioned[str]] = Statement("sessions.SWAP_METADATA", Versioned)
SWAP_AGENT_STATE: Statement[Versioned[str | None]] = Statement("sessions.SWAP_AGENT_STATE", Versioned)
MARK_ACTIVE: Statement[None] = Statement("sessions.MARK_ACTIVE", scalar)
MARK_STOPPED: Statement[SessionId] = Statement("sessions.MARK_STOPPED", scalar)


def _silent(account_id: AccountId, session_id: SessionId, at: Millis) -> tuple[AccountId, SessionId, Millis]:
    return account_id, session_id, at


def _gone(session_id: SessionId, at: Millis) -> tuple[SessionId, Millis]:
    return session_id, at


MARK_IDLE = Statement("sessions.MARK_IDLE", _silent)
ADD_DELETED_OWNER: Statement[None] = Statement("deletions.ADD_OWNER", scalar)
SILENT = Statement("sessions.SILENT", _silent)
MARK_GONE = Statement("sessions.MARK_GONE", _gone)
DELETE: Statement[SessionId] = Statement("sessions.DELETE", scalar)

FEW = 500
"""Up to this number, changed sessions are read and sorted by id; beyond, a scan by id finds a page fast."""

AFTER_EVERY_ID = SessionId("~")
"""Sorts after every id: ids begin with a letter or a digit."""


class SqlSessions:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def add(self, session: Session) -> bool:
        return await self._executor.one(ADD, **msgspec.structs.asdict(session)) is not None

    async def by_tag(self, account_id: AccountId, tag: str) -> Session | None:
        return await self._executor.one(BY_TAG, account=account_id, tag=tag)

    async def get(self, account_id: AccountId, session_id: SessionId) -> Session | None:
        return await self._executor.one(GET, account=account_id, session=session_id)

    async def recent(self, account_id: AccountId, limit: int) -> list[Session | Large]:
        return await self._executor.listed(RECENT, account=account_id, limit=limit)

    async def active(self, account_id: AccountId, since: Millis, limit: int) -> list[Session | Large]:
        return await self._executor.listed(ACTIVE, account=account_id, since=since, limit=limit)

    async def page(
        self, account_id: AccountId, before: SessionId | None, changed_since: Millis | None, limit: int
    ) -> list[Session | Large]:
        before, since = before or AFTER_EVERY_ID, changed_since or Millis(0)
        if changed_since is not None:
            changed = await self._executor.all(
                CHANGED, account=account_id, changed_since=since, limit=FEW + 1
            )
            if len(changed) <= FEW:
                return await self._newest_of([one for one in changed if one < before], account_id, limit)
        return await self._executor.listed(
            PAGE, account=account_id, before=before, changed_since=since, limit=limit
        )

    async def _newest_of(
        self, ids: list[SessionId], account_id: AccountId, limit: int
    ) -> list[Session | Large]:
        wanted = sorted(ids, reverse=True)[:limit]
        return await self._executor.listed(BY_IDS, account=account_id, sessions=wanted) if wanted else []

    async def swap_metadata(
        self, account_id: AccountId, session_id: SessionId, expected: int, value: str, now: Millis
    ) -> Swap[str]:
        stored = await self._executor.one(
            SWAP_METADATA, account=account_id, session=session_id, expected=expected, value=value, now=now
        )
        if stored is not None:
            return Swap(won=True, current=stored)
        session = await self._existing(account_id, session_id)
        return Swap(won=False, current=Versioned(session.metadata, session.metadata_version))

    async def swap_agent_state(
        self, account_id: AccountId, session_id: SessionId, expected: int, value: str | None, now: Millis
    ) -> Swap[str | None]:
        stored = await self._executor.one(
            SWAP_AGENT_STATE, account=account_id, session=session_id, expected=expected, value=value, now=now
        )
        if stored is not None:
            return Swap(won=True, current=stored)
        session = await self._existing(account_id, session_id)
        return Swap(won=False, current=Versioned(session.agent_state, session.agent_state_version))

    async def mark_active(self, seen: Sequence[tuple[SessionId, Millis, Millis]], now: Millis) -> None:
        future = Millis(now + FUTURE_AFTER)
        rows = [
            {"session": target, "at": at, "received": received, "future": future}
            for target, at, received in seen
        ]
        await self._executor.execute_many(MARK_ACTIVE, rows)

    async def mark_stopped(
        self, account_id: AccountId, session_id: SessionId, at: Millis, now: Millis
    ) -> bool:
        stopped = await self._executor.one(
            MARK_STOPPED, account=account_id, session=session_id, at=at, now=now
        )
        return stopped is not None

    async def mark_idle(self, deadline: Millis, limit: int) -> list[tuple[AccountId, SessionId, Millis]]:
        return await self._executor.all(MARK_IDLE, deadline=deadline, limit=limit)

    async def silent(
        self, deadline: Millis, after: tuple[Millis, str], limit: int
    ) -> list[tuple[AccountId, SessionId, Millis]]:
        at, after_id = after
        return await self._executor.all(SILENT, deadline=deadline, after=at, after_id=after_id, limit=limit)

    async def mark_gone(
        self, account_id: AccountId, session_ids: Sequence[SessionId], seen_by: Millis
    ) -> list[tuple[SessionId, Millis]]:
        return await self._executor.all(MARK_GONE, account=account_id, ids=list(session_ids), seen_by=seen_by)

    async def delete(self, account_id: AccountId, session_id: SessionId, now: Millis) -> bool:
        await self._executor.execute(ADD_DELETED_OWNER, now=now)
        return await self._executor.one(DELETE, account=account_id, session=session_id, now=now) is not None

    async def _existing(self, account_id: AccountId, session_id: SessionId) -> Session:
        session = await self.get(account_id, session_id)
        if session is None:
            raise NotFound("Session not found")
        return session
