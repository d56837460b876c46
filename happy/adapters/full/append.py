"""Appending messages on PostgreSQL, in one round trip."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from happy.adapters.sql.statement import Executor, Statement
from happy.domain.errors import NotFound
from happy.domain.sessions import Appended, Message, MessageDraft
from happy.domain.values import AccountId, MessageId, Millis, SessionId


class Numbered(Struct, frozen=True):
    """A new message's place. Without one, every draft was stored already."""

    update_seq: int | None
    id: MessageId | None
    seq: int | None
    local_id: str | None


APPEND = Statement("append.APPEND", Numbered)
BY_LOCAL_IDS = Statement("append.BY_LOCAL_IDS", Message)


async def append(
    run: Executor, account_id: AccountId, session_id: SessionId, drafts: Sequence[MessageDraft], now: Millis
) -> Appended:
    """Raises NotFound. Drafts that an earlier request stored cost a second round trip to find.

    A unique violation means that another node has just stored the same local id: the next attempt finds it.
    """
    values = {
        "account": account_id,
        "session": session_id,
        "ids": [draft.id for draft in drafts],
        "local_ids": [draft.local_id for draft in drafts],
        "contents": [draft.content.decode() for draft in drafts],
        "now": now,
    }
    rows = await run.all(APPEND, **values)
    if not rows:
        raise NotFound("Session not found")
    created = _created(rows, drafts, now)
    known = {draft.local_id for draft in drafts} - {message.local_id for message in created}
    existing = []
    if len(created) < len(drafts):
        existing = await run.all(BY_LOCAL_IDS, session=session_id, local_ids=list(known))
    return Appended(created, existing, rows[0].update_seq or 0)


def _created(rows: list[Numbered], drafts: Sequence[MessageDraft], now: Millis) -> list[Message]:
    contents = {draft.id: draft.content for draft in drafts}
    return [
        Message(row.id, row.seq, msgspec.Raw(contents[row.id]), row.local_id, now, now)
        for row in rows
        if row.id is not None and row.seq is not None
    ]
