"""Appending messages on PostgreSQL: one statement for all appends of a group commit."""

from collections.abc import Sequence
from itertools import compress
from typing import Any

import msgspec
from msgspec import Struct

from happy.adapters.sql.statement import Executor, Statement
from happy.domain.errors import CommitInDoubt, NotFound
from happy.domain.sessions import Appended, Message, MessageDraft
from happy.domain.values import AccountId, MessageId, Millis, SessionId


class Job(Struct, frozen=True):
    """One append: the drafts of one request."""

    account_id: AccountId
    session_id: SessionId
    drafts: Sequence[MessageDraft]
    now: Millis


class Inserted(Struct, frozen=True):
    """The numbers of a new message; a row without an id only confirms that the account owns the session."""

    session_id: SessionId
    account_id: AccountId
    id: MessageId | None
    seq: int | None
    update_seq: int | None
    created_at: Millis | None


class Stored(Struct, frozen=True):
    """A message and its session."""

    session_id: SessionId
    id: MessageId
    seq: int
    content: msgspec.Raw
    local_id: str | None
    created_at: Millis
    updated_at: Millis

    @property
    def message(self) -> Message:
        return Message(self.id, self.seq, self.content, self.local_id, self.created_at, self.updated_at)


APPEND = Statement("append.APPEND", Inserted)
STORED = Statement("append.STORED", Stored)
InsertedById = dict[MessageId, Inserted]
StoredByLocalId = dict[tuple[SessionId, str | None], Message]
Outcome = Appended | NotFound


async def append_all(executor: Executor, jobs: Sequence[Job]) -> list[Outcome]:
    """Outcomes in the order of the jobs. Drafts that were stored before cost a second round trip to find.

    The statement that stores commits by itself. A unique violation means that another replica has just stored
    the same local id: a retry finds it. Raises CommitInDoubt when messages were stored and the rest cannot be
    found.
    """
    rows = await executor.all(APPEND, **values_of(jobs))
    owned = {(row.session_id, row.account_id) for row in rows}
    inserted = {row.id: row for row in rows if row.id is not None}
    allowed = [(job.session_id, job.account_id) in owned for job in jobs]
    try:
        stored = await _stored(executor, list(compress(jobs, allowed)), inserted)
    except Exception as error:
        if inserted:
            raise CommitInDoubt("messages were stored, but repeated ones were not found in time") from error
        raise
    return [
        _outcome(job, inserted, stored) if is_allowed else NotFound("Session not found")
        for job, is_allowed in zip(jobs, allowed, strict=True)
    ]


def values_of(jobs: Sequence[Job]) -> dict[str, list[Any]]:
    """Parameters of the statement, in which each local id occurs once: of duplicates the first is stored."""
    requested = list({(job.session_id, job.account_id) for job in jobs})
    drafts: dict[Any, tuple[Job, MessageDraft]] = {}
    for job in jobs:
        for draft in job.drafts:
            key = draft.id if draft.local_id is None else (job.account_id, job.session_id, draft.local_id)
            drafts.setdefault(key, (job, draft))
    return {
        "requested_sessions": [session_id for session_id, _ in requested],
        "requested_accounts": [account_id for _, account_id in requested],
        "ids": [draft.id for _, draft in drafts.values()],
        "sessions": [job.session_id for job, _ in drafts.values()],
        "accounts": [job.account_id for job, _ in drafts.values()],
        "local_ids": [draft.local_id for _, draft in drafts.values()],
        "contents": [draft.content.decode() for _, draft in drafts.values()],
        "nows": [job.now for job, _ in drafts.values()],
    }


async def _stored(executor: Executor, jobs: Sequence[Job], inserted: InsertedById) -> StoredByLocalId:
    """The messages that have the local ids of drafts which are not new."""
    wanted = {
        (job.session_id, draft.local_id) for job in jobs for draft in job.drafts if draft.id not in inserted
    }
    if not wanted:
        return {}
    sessions, local_ids = zip(*wanted, strict=True)
    rows = await executor.all(STORED, sessions=list(sessions), local_ids=list(local_ids))
    return {(row.session_id, row.local_id): row.message for row in rows}


def _outcome(job: Job, inserted: InsertedById, stored: StoredByLocalId) -> Outcome:
    created, existing, update_seq = [], [], 0
    for draft in job.drafts:
        row = inserted.get(draft.id)
        if row is not None and row.seq and row.update_seq and row.created_at:
            content, update_seq = msgspec.Raw(draft.content), row.update_seq
            created.append(
                Message(draft.id, row.seq, content, draft.local_id, row.created_at, row.created_at)
            )
        elif (message := stored.get((job.session_id, draft.local_id))) is not None:
            existing.append(message)
        else:  # deleted concurrently, together with its session
            return NotFound("Session not found")
    return Appended(created, existing, update_seq)
