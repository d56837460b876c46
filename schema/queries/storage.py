"""Statements on what accounts store. Bytes and attachments are counted in the rows of sessions."""

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.tables import sessions

_own = sessions.c.account_id == param("account")
_bytes = sa.func.coalesce(sessions.c.stored_bytes, sa.literal_column("0"))
_attachments = sa.func.coalesce(sessions.c.attachments, sa.literal_column("0"))

STORED = sa.select(
    sa.func.count().label("sessions"),
    sa.cast(sa.func.coalesce(sa.func.sum(_bytes), sa.literal_column("0")), sa.BigInteger).label("bytes"),
    sa.cast(sa.func.coalesce(sa.func.sum(_attachments), sa.literal_column("0")), sa.BigInteger).label(
        "attachments"
    ),
).where(_own)

NTH_SESSION = (
    sa.select(sessions.c.id)
    .where(_own)
    .order_by(sessions.c.id)
    .limit(sa.literal_column("1"))
    .offset(param("skip", type_=sa.Integer))
)

GROW = (
    sa.update(sessions)
    .where(sessions.c.id == param("session_id"))
    .values(
        stored_bytes=_bytes + param("bytes", type_=sa.BigInteger),
        attachments=_attachments + param("attachments", type_=sa.Integer),
    )
)
