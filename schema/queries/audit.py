"""Statements on the audit log."""

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.tables import audit_entries as entries
from schema.types import Millis

_columns = (
    entries.c.id,
    entries.c.created_at,
    entries.c.actor,
    entries.c.action,
    entries.c.subject,
    entries.c.detail,
)
_limit = param("limit", type_=sa.Integer)
_newest_first = (entries.c.created_at.desc(), entries.c.id.desc())

ADD = sa.insert(entries).values(
    id=param("id"),
    created_at=param("now"),
    actor=param("actor"),
    action=param("action"),
    subject=param("subject"),
    detail=param("detail"),
)

SINCE = (
    sa.select(*_columns)
    .where(entries.c.created_at >= param("since", type_=Millis))
    .order_by(*_newest_first)
    .limit(_limit)
)

_oldest = (
    sa.select(entries.c.id)
    .where(entries.c.created_at < param("before", type_=Millis))
    .order_by(entries.c.created_at)
    .limit(_limit)
)
DROP_OLD = sa.delete(entries).where(entries.c.id.in_(_oldest.scalar_subquery())).returning(entries.c.id)

_surplus = (
    sa.select(entries.c.id).order_by(*_newest_first).limit(_limit).offset(param("keep", type_=sa.Integer))
)
DROP_SURPLUS = sa.delete(entries).where(entries.c.id.in_(_surplus.scalar_subquery())).returning(entries.c.id)
