"""Statements on the message log."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.expressions import largest
from schema.listings import Listing
from schema.tables import session_messages as messages
from schema.tables import sessions
from schema.types import Millis

_of_session = messages.c.session_id == param("session")
columns = [
    messages.c.id,
    messages.c.seq,
    messages.c.content,
    messages.c.local_id,
    messages.c.created_at,
    messages.c.updated_at,
]
_large = (messages.c.seq, messages.c.content, messages.c.local_id)
_limit = param("limit", type_=sa.Integer)

OWNED = sa.select(sessions.c.id).where(
    sessions.c.id == param("session"), sessions.c.account_id == param("account")
)
_of_own_session = sa.and_(_of_session, sa.exists(OWNED))


def newest_time(now: Any, count: Any) -> Any:
    """Creation time in ms of the last of `count` messages that are appended now.

    Within a session each message is at least 1 ms newer than the one before, even if the clock is set
    back: clients sort by these times. The session's row has the time of its newest message, so the holder of
    its lock sees appends of other servers. Where that column is still null, the newest message is read.
    """
    newest = (
        sa.select(messages.c.created_at)
        .where(messages.c.session_id == sessions.c.id)
        .order_by(messages.c.seq.desc())
        .limit(1)
        .correlate(sessions)
        .scalar_subquery()
    )
    before = sa.func.coalesce(in_ms(sessions.c.last_message_at), in_ms(newest), 0)
    return largest(before, now - 1) + count


def in_ms(moment: Any) -> Any:
    return Millis().column_expression(moment)


def moment(ms: Any) -> Any:
    return Millis().bind_expression(ms)


_count = param("count", type_=sa.Integer)
TAKE_SEQ = (
    sa.update(sessions)
    .where(sessions.c.id == param("session"), sessions.c.account_id == param("account"))
    .values(
        seq=sessions.c.seq + _count,
        updated_at=param("now"),
        last_message_at=moment(newest_time(param("now", type_=sa.BigInteger), _count)),
    )
    .returning(sessions.c.seq, sessions.c.last_message_at)
)

BY_LOCAL_ID = sa.select(*columns).where(_of_session, messages.c.local_id == param("local_id"))

ADD = sa.insert(messages).values(
    session_id=param("session"), **{column.key: param(column.key) for column in columns}
)

AFTER = Listing(
    sa.select(*columns)
    .where(_of_own_session, messages.c.seq > param("seq"))
    .order_by(messages.c.seq)
    .limit(_limit),
    *_large,
)

BEFORE = Listing(
    sa.select(*columns)
    .where(_of_own_session, messages.c.seq < param("seq"))
    .order_by(messages.c.seq.desc())
    .limit(_limit),
    *_large,
)

NEWEST = Listing(
    sa.select(*columns).where(_of_own_session).order_by(messages.c.seq.desc()).limit(_limit), *_large
)

BY_SEQ = sa.select(*columns).where(_of_own_session, messages.c.seq == param("seq"))
