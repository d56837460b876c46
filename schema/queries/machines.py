"""Statements on machines."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.expressions import any_of, greatest
from schema.listings import Listing
from schema.tables import access_keys, machines
from schema.types import Millis

_there = machines.c.deleted_at.is_(None)
_own = sa.and_(machines.c.id == param("machine"), machines.c.account_id == param("account"), _there)
_columns = [
    machines.c.id,
    machines.c.account_id,
    machines.c.seq,
    machines.c.metadata,
    machines.c.metadata_version,
    machines.c.daemon_state,
    machines.c.daemon_state_version,
    machines.c.data_encryption_key,
    machines.c.active,
    machines.c.last_active_at,
    machines.c.created_at,
    machines.c.updated_at,
]


def ADD(insert: Any) -> Any:
    return (
        insert(machines)
        .values({column: param(column.key) for column in _columns})
        .on_conflict_do_nothing(index_elements=[machines.c.id])
        .returning(machines.c.id)
    )


GET = sa.select(*_columns).where(_own)

OWNED = Listing(
    sa.select(*_columns)
    .where(machines.c.account_id == param("account"), _there)
    .order_by(machines.c.last_active_at.desc(), machines.c.id),
    machines.c.id,
    machines.c.metadata,
    machines.c.daemon_state,
    machines.c.data_encryption_key,
)

SWAP_METADATA = (
    sa.update(machines)
    .where(_own, machines.c.metadata_version == param("expected"))
    .values(
        metadata=param("value"),
        metadata_version=machines.c.metadata_version + 1,
        updated_at=param("now"),
    )
    .returning(machines.c.metadata.label("value"), machines.c.metadata_version.label("version"))
)

SWAP_DAEMON_STATE = (
    sa.update(machines)
    .where(_own, machines.c.daemon_state_version == param("expected"))
    .values(
        daemon_state=param("value"),
        daemon_state_version=machines.c.daemon_state_version + 1,
        active=sa.true(),
        last_active_at=param("now"),
        updated_at=param("now"),
    )
    .returning(machines.c.daemon_state.label("value"), machines.c.daemon_state_version.label("version"))
)

_at = param("at", type_=Millis)
_is_future = machines.c.last_active_at > param("future", type_=Millis)
# A heartbeat makes the machine active even if its clock is behind. `last_active_at` never decreases, unless
# it lies in the future because the server's clock was set back.
MARK_ACTIVE = (
    sa.update(machines)
    .where(_own, sa.or_(machines.c.last_active_at < _at, machines.c.active == sa.false(), _is_future))
    .values(
        active=sa.true(),
        last_active_at=sa.case((_is_future, _at), else_=greatest(machines.c.last_active_at, "at")),
    )
)

_silent = (
    sa.select(machines.c.id)
    .where(machines.c.active == sa.true(), machines.c.last_active_at <= param("deadline", type_=Millis))
    .order_by(machines.c.last_active_at)
    .limit(param("limit", type_=sa.Integer))
    .scalar_subquery()
)
MARK_IDLE = (
    sa.update(machines)
    .where(
        machines.c.id.in_(_silent),
        machines.c.active == sa.true(),
        machines.c.last_active_at <= param("deadline", type_=Millis),
    )
    .values(active=sa.false())
    .returning(machines.c.account_id, machines.c.id, machines.c.last_active_at)
)

SILENT = (
    sa.select(machines.c.account_id, machines.c.id, machines.c.last_active_at)
    .where(
        machines.c.active == sa.true(),
        machines.c.last_active_at <= param("deadline", type_=Millis),
        sa.tuple_(machines.c.last_active_at, machines.c.id)
        > sa.tuple_(param("after", type_=Millis), param("after_id", type_=sa.Text)),
    )
    .order_by(machines.c.last_active_at, machines.c.id)
    .limit(param("limit", type_=sa.Integer))
)

MARK_GONE = (
    sa.update(machines)
    .where(
        machines.c.account_id == param("account"),
        any_of(machines.c.id, "ids"),
        machines.c.active == sa.true(),
        machines.c.last_active_at <= param("seen_by", type_=Millis),
    )
    .values(active=sa.false())
    .returning(machines.c.id, machines.c.last_active_at)
)

HIDE = (
    sa.update(machines)
    .where(_own)
    .values(deleted_at=param("now"), active=sa.false(), updated_at=param("now"))
    .returning(machines.c.id)
)
_hidden = sa.and_(machines.c.id == param("machine"), machines.c.deleted_at.is_not(None))
HIDDEN = sa.select(machines.c.id).where(_hidden)
DELETE = sa.delete(machines).where(_hidden, ~sa.exists().where(access_keys.c.machine_id == machines.c.id))
