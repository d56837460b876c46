"""Many appends in one transaction of three statements: what a single one does, for all who wait at a time."""

from collections import Counter
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from happy.adapters.sql.statement import Executor, Statement
from happy.domain.errors import NotFound
from happy.domain.sessions import Appended, Message, MessageDraft
from happy.domain.values import AccountId, MessageId, Millis, SessionId


class Job(Struct, frozen=True):
    """One append that waits for its turn."""

    account_id: AccountId
    session_id: SessionId
    drafts: Sequence[MessageDraft]
    now: Millis


class Locked(Struct, frozen=True):
    id: SessionId
    account_id: AccountId
    seq: int


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


class Taken(Struct, frozen=True):
    account_id: AccountId
    seq: int


LOCK_SESSIONS = Statement("append.LOCK_SESSIONS", Locked)
STORED = Statement("append.STORED", Stored)
ADD_NUMBERED = Statement("append.ADD_NUMBERED", Taken)
Known = dict[tuple[SessionId, str], Message]
Outcome = Appended | NotFound


async def append_all(run: Executor, jobs: Sequence[Job]) -> list[Outcome]:
    """Outcomes in the order of the jobs, for a caller who runs this in one transaction."""
    locked = await run.all(LOCK_SESSIONS, sessions=list({job.session_id for job in jobs}))
    sessions = {session.id: session for session in locked}
    known = await _known(run, jobs)
    seqs = {session.id: session.seq for session in locked}
    outcomes: list[Outcome] = []
    for job in jobs:
        session = sessions.get(job.session_id)
        if session is None or session.account_id != job.account_id:
            outcomes.append(NotFound("Session not found"))
        else:
            outcomes.append(_place(job, seqs, known))
    return await _write(run, jobs, outcomes, seqs)


async def _known(run: Executor, jobs: Sequence[Job]) -> Known:
    asked = [
        (job.session_id, draft.local_id) for job in jobs for draft in job.drafts if draft.local_id is not None
    ]
    if not asked:
        return {}
    sessions, local_ids = zip(*asked, strict=True)
    rows = await run.all(STORED, sessions=list(sessions), local_ids=list(local_ids))
    return {(row.session_id, row.local_id): row.message for row in rows if row.local_id is not None}


def _place(job: Job, seqs: dict[SessionId, int], known: Known) -> Appended:
    """Number what is new; `update_seq` is set once the account's number is known."""
    created, existing = [], []
    for draft in job.drafts:
        key = (job.session_id, draft.local_id) if draft.local_id is not None else None
        if key is not None and key in known:
            existing.append(known[key])
            continue
        seqs[job.session_id] += 1
        seq = seqs[job.session_id]
        message = Message(draft.id, seq, msgspec.Raw(draft.content), draft.local_id, job.now, job.now)
        created.append(message)
        if key is not None:
            known[key] = message
    return Appended(created, existing, 0)


async def _write(
    run: Executor, jobs: Sequence[Job], outcomes: list[Outcome], seqs: dict[SessionId, int]
) -> list[Outcome]:
    """The third statement. Several jobs may be of one session, and several sessions of one account."""
    writing = [
        (job, outcome)
        for job, outcome in zip(jobs, outcomes, strict=True)
        if isinstance(outcome, Appended) and outcome.created
    ]
    if not writing:
        return outcomes
    counts: Counter[AccountId] = Counter()
    for job, outcome in writing:
        counts[job.account_id] += len(outcome.created)
    sessions = {job.session_id: job.now for job, _ in writing}
    accounts = {job.account_id: job.now for job, _ in writing}
    messages = [(job.session_id, message) for job, outcome in writing for message in outcome.created]
    taken = await run.all(
        ADD_NUMBERED,
        ids=[message.id for _, message in messages],
        sessions=[session_id for session_id, _ in messages],
        seqs=[message.seq for _, message in messages],
        local_ids=[message.local_id for _, message in messages],
        contents=[bytes(message.content).decode() for _, message in messages],
        nows=[message.created_at for _, message in messages],
        reached_sessions=list(sessions),
        reached_seqs=[seqs[session_id] for session_id in sessions],
        reached_at=list(sessions.values()),
        accounts=list(accounts),
        counts=[counts[account_id] for account_id in accounts],
        counted_at=list(accounts.values()),
    )
    last = {row.account_id: row.seq - counts[row.account_id] for row in taken}
    return [_numbered(job, outcome, last) for job, outcome in zip(jobs, outcomes, strict=True)]


def _numbered(job: Job, outcome: Outcome, last: dict[AccountId, int]) -> Outcome:
    if isinstance(outcome, NotFound) or not outcome.created:
        return outcome
    last[job.account_id] += len(outcome.created)
    return Appended(outcome.created, outcome.existing, last[job.account_id])
