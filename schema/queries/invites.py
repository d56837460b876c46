"""Statements on invites and their openings."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.tables import invite_openings as openings
from schema.tables import invites
from schema.types import Millis

_columns = (invites.c.id, invites.c.uses, invites.c.used, invites.c.created_at, invites.c.expires_at)
_limit = param("limit", type_=sa.Integer)

ADD = sa.insert(invites).values(
    id=param("id"),
    code_hash=param("code_hash"),
    uses=param("uses"),
    used=param("used"),
    created_at=param("created_at"),
    expires_at=param("expires_at"),
)

BY_CODE = sa.select(*_columns).where(invites.c.code_hash == param("code_hash"))

ALL = sa.select(*_columns).order_by(invites.c.created_at.desc(), invites.c.id)

DROP = sa.delete(invites).where(invites.c.id == param("invite")).returning(invites.c.id)


def OPEN(insert: Any) -> Any:
    statement = insert(openings).values(
        invite_id=param("invite"),
        address=param("address"),
        created_at=param("now"),
        expires_at=param("expires_at"),
    )
    return statement.on_conflict_do_update(
        index_elements=[openings.c.invite_id, openings.c.address],
        set_={openings.c.expires_at: statement.excluded.expires_at},
    )


_surplus = (
    sa.select(openings.c.address)
    .where(openings.c.invite_id == param("invite"))
    .order_by(openings.c.expires_at.desc())
    .limit(sa.literal_column("1000000"))
    .offset(param("keep", type_=sa.Integer))
)
DROP_SURPLUS = sa.delete(openings).where(
    openings.c.invite_id == param("invite"), openings.c.address.in_(_surplus.scalar_subquery())
)

OPENED_AT = (
    sa.select(invites.c.id)
    .select_from(openings.join(invites, openings.c.invite_id == invites.c.id))
    .where(
        openings.c.address == param("address"),
        openings.c.expires_at > param("now", type_=Millis),
        invites.c.expires_at > param("now", type_=Millis),
        invites.c.used < invites.c.uses,
    )
    .order_by(openings.c.created_at)
    .limit(sa.literal_column("1"))
)

USE = sa.update(invites).where(invites.c.id == param("invite")).values(used=invites.c.used + 1)

_expired_openings = (
    sa.select(openings.c.invite_id)
    .where(openings.c.expires_at < param("before", type_=Millis))
    .order_by(openings.c.expires_at)
    .limit(_limit)
)
DROP_EXPIRED_OPENINGS = (
    sa.delete(openings)
    .where(
        openings.c.expires_at < param("before", type_=Millis),
        openings.c.invite_id.in_(_expired_openings.scalar_subquery()),
    )
    .returning(openings.c.invite_id)
)

_expired = (
    sa.select(invites.c.id)
    .where(invites.c.expires_at < param("before", type_=Millis))
    .order_by(invites.c.expires_at)
    .limit(_limit)
)
DROP_EXPIRED = sa.delete(invites).where(invites.c.id.in_(_expired.scalar_subquery())).returning(invites.c.id)
