"""Statements on sessions."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.expressions import any_of, byte_order, greatest
from schema.listings import Listing
from schema.queries.deletions import DELETED_OWNER
from schema.tables import sessions
from schema.types import Millis

_own = sa.and_(sessions.c.id == param("session"), sessions.c.account_id == param("account"))
_columns = [
    sessions.c.id,
    sessions.c.account_id,
    sessions.c.tag,
    sessions.c.seq,
    sessions.c.metadata,
    sessions.c.metadata_version,
    sessions.c.agent_state,
    sessions.c.agent_state_version,
    sessions.c.data_encryption_key,
    sessions.c.active,
    sessions.c.last_active_at,
    sessions.c.created_at,
    sessions.c.updated_at,
]
_large = (
    sessions.c.id,
    sessions.c.metadata,
    sessions.c.agent_state,
    sessions.c.data_encryption_key,
    sessions.c.tag,
)


def ADD(insert: Any) -> Any:
    return (
        insert(sessions)
        .values({column: param(column.key) for column in _columns})
        .on_conflict_do_nothing(index_elements=[sessions.c.account_id, sessions.c.tag])
        .returning(sessions.c.id)
    )


BY_TAG = sa.select(*_columns).where(sessions.c.account_id == param("account"), sessions.c.tag == param("tag"))

GET = sa.select(*_columns).where(_own)

# Sessions of the same time are in no order: a sweep gives many the same, and no index has the id as well.
RECENT = Listing(
    sa.select(*_columns)
    .where(sessions.c.account_id == param("account"))
    .order_by(sessions.c.updated_at.desc())
    .limit(param("limit", type_=sa.Integer)),
    *_large,
)

ACTIVE = Listing(
    sa.select(*_columns)
    .where(
        sessions.c.account_id == param("account"),
        sessions.c.active == sa.true(),
        sessions.c.last_active_at > param("since", type_=Millis),
    )
    .order_by(sessions.c.last_active_at.desc(), sessions.c.id.desc())
    .limit(param("limit", type_=sa.Integer)),
    *_large,
)

CHANGED = (
    sa.select(sessions.c.id)
    .where(
        sessions.c.account_id == param("account"),
        sessions.c.updated_at > param("changed_since", type_=Millis),
    )
    .order_by(sessions.c.updated_at.desc())
    .limit(param("limit", type_=sa.Integer))
)

# `byte_order` keeps the planner from the index on the account, which would scan all of its sessions.
BY_IDS = Listing(
    sa.select(*_columns)
    .where(byte_order(sessions.c.account_id) == param("account"), any_of(sessions.c.id, "sessions"))
    .order_by(byte_order(sessions.c.id).desc()),
    *_large,
)

# A page without a cursor starts before "~": every id begins with a letter or digit, which sort before it.
PAGE = Listing(
    sa.select(*_columns)
    .where(
        sessions.c.account_id == param("account"),
        byte_order(sessions.c.id) < param("before", type_=sa.Text),
        sessions.c.updated_at > param("changed_since", type_=Millis),
    )
    .order_by(byte_order(sessions.c.id).desc())
    .limit(param("limit", type_=sa.Integer)),
    *_large,
)

SWAP_METADATA = (
    sa.update(sessions)
    .where(_own, sessions.c.metadata_version == param("expected"))
    .values(
        metadata=param("value"),
        metadata_version=sessions.c.metadata_version + 1,
        updated_at=param("now"),
    )
    .returning(sessions.c.metadata.label("value"), sessions.c.metadata_version.label("version"))
)

SWAP_AGENT_STATE = (
    sa.update(sessions)
    .where(_own, sessions.c.agent_state_version == param("expected"))
    .values(
        agent_state=param("value"),
        agent_state_version=sessions.c.agent_state_version + 1,
        updated_at=param("now"),
    )
    .returning(sessions.c.agent_state.label("value"), sessions.c.agent_state_version.label("version"))
)

# Activity does not change `updated_at`: the app sorts by it, and no event would announce the change.
# A heartbeat makes the session active even if its clock is behind; `last_active_at` never decreases. But
# heartbeats that were received before the session was stopped or deleted have no effect when stored late.
MARK_ACTIVE = (
    sa.update(sessions)
    .where(
        sessions.c.id == param("session"),
        sessions.c.account_id != DELETED_OWNER,
        sa.or_(
            sessions.c.last_active_at < param("at", type_=Millis),
            sessions.c.active == sa.false(),
            sessions.c.last_active_at > param("future", type_=Millis),
        ),
        sa.or_(
            sessions.c.stopped_at.is_(None),
            sessions.c.stopped_at < param("received", type_=Millis),
            sessions.c.stopped_at > param("future", type_=Millis),
        ),
    )
    .values(
        active=sa.true(),
        last_active_at=sa.case(
            (sessions.c.last_active_at > param("future", type_=Millis), param("at", type_=Millis)),
            else_=greatest(sessions.c.last_active_at, "at"),
        ),
    )
)

MARK_STOPPED = (
    sa.update(sessions)
    .where(_own)
    .values(
        active=sa.false(),
        last_active_at=param("at", type_=Millis),
        stopped_at=param("now"),
    )
    .returning(sessions.c.id)
)

_silent = (
    sa.select(sessions.c.id)
    .where(sessions.c.active == sa.true(), sessions.c.last_active_at <= param("deadline", type_=Millis))
    .order_by(sessions.c.last_active_at)
    .limit(param("limit", type_=sa.Integer))
    .scalar_subquery()
)
# The conditions are repeated outside of the subquery: a heartbeat may be stored in between.
MARK_IDLE = (
    sa.update(sessions)
    .where(
        sessions.c.id.in_(_silent),
        sessions.c.active == sa.true(),
        sessions.c.last_active_at <= param("deadline", type_=Millis),
    )
    .values(active=sa.false())
    .returning(sessions.c.account_id, sessions.c.id, sessions.c.last_active_at)
)

SILENT = (
    sa.select(sessions.c.account_id, sessions.c.id, sessions.c.last_active_at)
    .where(
        sessions.c.active == sa.true(),
        sessions.c.last_active_at <= param("deadline", type_=Millis),
        sa.tuple_(sessions.c.last_active_at, sessions.c.id)
        > sa.tuple_(param("after", type_=Millis), param("after_id", type_=sa.Text)),
    )
    .order_by(sessions.c.last_active_at, sessions.c.id)
    .limit(param("limit", type_=sa.Integer))
)

MARK_GONE = (
    sa.update(sessions)
    .where(
        sessions.c.account_id == param("account"),
        any_of(sessions.c.id, "ids"),
        sessions.c.active == sa.true(),
        sessions.c.last_active_at <= param("seen_by", type_=Millis),
    )
    .values(active=sa.false())
    .returning(sessions.c.id, sessions.c.last_active_at)
)

# Its id replaces the tag, which a new session may then use.
DELETE = (
    sa.update(sessions)
    .where(_own)
    .values(account_id=DELETED_OWNER, tag=sessions.c.id, active=sa.false(), updated_at=param("now"))
    .returning(sessions.c.id)
)
