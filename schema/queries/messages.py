"""Statements on the message log."""

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.tables import session_messages as messages
from schema.tables import sessions

_of_session = messages.c.session_id == param("session")
columns = [
    messages.c.id,
    messages.c.seq,
    messages.c.content,
    messages.c.local_id,
    messages.c.created_at,
    messages.c.updated_at,
]
_limit = param("limit", type_=sa.Integer)

OWNED = sa.select(sessions.c.id).where(
    sessions.c.id == param("session"), sessions.c.account_id == param("account")
)
_of_own_session = sa.and_(_of_session, sa.exists(OWNED))

TAKE_SEQ = (
    sa.update(sessions)
    .where(sessions.c.id == param("session"), sessions.c.account_id == param("account"))
    .values(seq=sessions.c.seq + param("count", type_=sa.Integer), updated_at=param("now"))
    .returning(sessions.c.seq)
)

BY_LOCAL_ID = sa.select(*columns).where(_of_session, messages.c.local_id == param("local_id"))

ADD = sa.insert(messages).values(
    session_id=param("session"), **{column.key: param(column.key) for column in columns}
)

AFTER = (
    sa.select(*columns)
    .where(_of_own_session, messages.c.seq > param("seq"))
    .order_by(messages.c.seq)
    .limit(_limit)
)

BEFORE = (
    sa.select(*columns)
    .where(_of_own_session, messages.c.seq < param("seq"))
    .order_by(messages.c.seq.desc())
    .limit(_limit)
)

NEWEST = sa.select(*columns).where(_of_own_session).order_by(messages.c.seq.desc()).limit(_limit)
