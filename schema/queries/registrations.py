"""Statements on registration requests."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.queries.deletions import DELETED_OWNER
from schema.tables import accounts, simple_caches
from schema.tables import registration_requests as requests

# One row that is written to be locked, in a table that every server of this protocol has.
_LOCK: Any = sa.literal_column("'happy-server:registration'")
_WAITING = requests.c.status == sa.literal_column("'waiting'")

_columns = (
    requests.c.public_key,
    requests.c.address,
    requests.c.status,
    requests.c.created_at,
    requests.c.updated_at,
)


def LOCK(insert: Any) -> Any:
    statement = insert(simple_caches).values(
        key=_LOCK, value=sa.literal_column("''"), created_at=param("now"), updated_at=param("now")
    )
    return statement.on_conflict_do_update(
        index_elements=[simple_caches.c.key], set_={simple_caches.c.updated_at: statement.excluded.updated_at}
    )


# The condition lets an index answer.
SOME_ACCOUNT = (
    sa.select(accounts.c.id)
    .where(accounts.c.id > sa.literal_column("''"), accounts.c.id != DELETED_OWNER)
    .limit(sa.literal_column("1"))
)

ABOUT = (
    sa.select(*_columns)
    .where(sa.or_(requests.c.public_key == param("public_key"), requests.c.address == param("address")))
    .order_by(requests.c.updated_at)
)

ALL = sa.select(*_columns).order_by(requests.c.updated_at.desc(), requests.c.public_key)


def SAVE(insert: Any) -> Any:
    statement = insert(requests).values(
        public_key=param("public_key"),
        address=param("address"),
        status=param("status"),
        created_at=param("created_at"),
        updated_at=param("updated_at"),
    )
    changed = (requests.c.address, requests.c.status, requests.c.updated_at)
    return statement.on_conflict_do_update(
        index_elements=[requests.c.public_key],
        set_={column: statement.excluded[column.key] for column in changed},
    )


DROP = sa.delete(requests).where(requests.c.public_key == param("public_key"))

DROP_WAITING_AT = sa.delete(requests).where(requests.c.address == param("address"), _WAITING)

_surplus = (
    sa.select(requests.c.public_key)
    .where(_WAITING)
    .order_by(requests.c.updated_at.desc())
    .limit(sa.literal_column("1000000"))
    .offset(param("keep", type_=sa.Integer))
)
DROP_SURPLUS = sa.delete(requests).where(requests.c.public_key.in_(_surplus.scalar_subquery()))

_expired = (
    sa.select(requests.c.public_key)
    .where(
        requests.c.status == param("status"),
        requests.c.updated_at < param("before", type_=requests.c.updated_at.type),
    )
    .order_by(requests.c.updated_at)
    .limit(param("limit", type_=sa.Integer))
)
DROP_EXPIRED = (
    sa.delete(requests)
    .where(requests.c.public_key.in_(_expired.scalar_subquery()))
    .returning(requests.c.public_key)
)
