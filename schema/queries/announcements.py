"""Statements on announcements: what commands have deleted, and servers tell their clients."""

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.tables import announcements

_columns = (
    announcements.c.id,
    announcements.c.account_id,
    announcements.c.kind,
    announcements.c.target,
    announcements.c.created_at,
)
_known = announcements.c.kind.in_((sa.literal_column("'session'"), sa.literal_column("'machine'")))

ADD = sa.insert(announcements).values({column: param(column.key) for column in _columns})

WAITING = sa.select(announcements.c.id).where(_known).limit(sa.literal_column("1"))

_oldest = (
    sa.select(announcements.c.id)
    .where(_known)
    .order_by(announcements.c.created_at, announcements.c.id)
    .limit(param("limit", type_=sa.Integer))
    .with_for_update(skip_locked=True)
)
TAKE = sa.delete(announcements).where(announcements.c.id.in_(_oldest.scalar_subquery())).returning(*_columns)
