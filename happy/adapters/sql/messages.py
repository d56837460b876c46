"""The message log in plain statements, for a caller that runs them in one transaction."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from happy.adapters.sql.accounts import SqlAccounts
from happy.adapters.sql.statement import Executor, Listing, Statement, scalar
from happy.domain.errors import NotFound
from happy.domain.listing import Large
from happy.domain.sessions import Appended, Message, MessageDraft
from happy.domain.values import AccountId, Millis, SessionId


class Taken(Struct, frozen=True):
    """The number and the creation time of the last of the messages that are appended."""

    seq: int
    created_at: Millis


OWNED: Statement[SessionId] = Statement("messages.OWNED", scalar)
TAKE_SEQ = Statement("messages.TAKE_SEQ", Taken)
BY_LOCAL_ID = Statement("messages.BY_LOCAL_ID", Message)
ADD: Statement[None] = Statement("messages.ADD", scalar)
AFTER = Listing("messages.AFTER", Message, "seq", "content", "local_id")
BEFORE = Listing("messages.BEFORE", Message, "seq", "content", "local_id")
NEWEST = Listing("messages.NEWEST", Message, "seq", "content", "local_id")
BY_SEQ = Statement("messages.BY_SEQ", Message)


async def append(
    executor: Executor,
    account_id: AccountId,
    session_id: SessionId,
    drafts: Sequence[MessageDraft],
    now: Millis,
) -> Appended:
    """Store drafts that are new; one whose local id is stored already is returned as it was stored.

    Raises NotFound for a session that is not the account's.
    """
    existing, fresh = await _sort(executor, session_id, drafts)
    if not fresh:
        await require_owned(executor, account_id, session_id)
        return Appended([], existing, 0)
    last = await executor.one(TAKE_SEQ, account=account_id, session=session_id, count=len(fresh), now=now)
    if last is None:
        raise NotFound("Session not found")
    created = [
        _message(draft, last, back) for back, draft in zip(range(len(fresh))[::-1], fresh, strict=True)
    ]
    await executor.execute_many(ADD, [_row(session_id, message) for message in created])
    return Appended(created, existing, await SqlAccounts(executor).next_seq(account_id, len(created), now))


def _row(session_id: SessionId, message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "session": session_id,
        "seq": message.seq,
        "content": bytes(message.content).decode(),
        "local_id": message.local_id,
        "created_at": message.created_at,
        "updated_at": message.updated_at,
    }


def _message(draft: MessageDraft, last: Taken, back: int) -> Message:
    """The message of a draft that is followed by `back` others of the same append."""
    at = Millis(last.created_at - back)
    return Message(draft.id, last.seq - back, msgspec.Raw(draft.content), draft.local_id, at, at)


async def _sort(
    executor: Executor, session_id: SessionId, drafts: Sequence[MessageDraft]
) -> tuple[list[Message], list[MessageDraft]]:
    """Split drafts into messages whose local id is stored already, and drafts that are new."""
    existing: list[Message] = []
    fresh: list[MessageDraft] = []
    for draft in drafts:
        stored = None
        if draft.local_id is not None:
            stored = await executor.one(BY_LOCAL_ID, session=session_id, local_id=draft.local_id)
        if stored is not None:
            existing.append(stored)
        else:
            fresh.append(draft)
    return existing, fresh


async def page(
    executor: Executor,
    listing: Listing[Message],
    account_id: AccountId,
    session_id: SessionId,
    **values: int,
) -> list[Message | Large]:
    """Rows of `listing`, for the session's owner only. Raises NotFound."""
    rows = await executor.listed(listing, account=account_id, session=session_id, **values)
    if not rows:  # no messages, or not the account's session
        await require_owned(executor, account_id, session_id)
    return rows


async def require_owned(executor: Executor, account_id: AccountId, session_id: SessionId) -> None:
    if await executor.one(OWNED, account=account_id, session=session_id) is None:
        raise NotFound("Session not found")
