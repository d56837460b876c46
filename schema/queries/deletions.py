"""Statements on deleted sessions and machines, whose rows are removed in small batches.

A deleted session is moved to `DELETED_OWNER`, an account that nobody can sign in to, until its rows are
removed. Every statement on a session or its messages names the owner, so none finds it any more, in whichever
release or replica. A machine cannot be moved, because its access keys refer to its owner too (ON UPDATE
CASCADE): it has a time of deletion instead.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.tables import access_keys, accounts, machines, session_messages, sessions, usage_reports
from schema.types import Millis

DELETED_OWNER = sa.literal_column("'deleted-sessions'", sa.Text)
_limit = param("limit", type_=sa.Integer)
_now = param("now", type_=Millis)
_target = param("target", type_=sa.Text)
_deleted_session = sa.and_(sessions.c.id == _target, sessions.c.account_id == DELETED_OWNER)
_deleted_machine = sa.and_(machines.c.id == _target, machines.c.deleted_at.is_not(None))


def ADD_OWNER(insert: Any) -> Any:
    """Its public key is not a valid one, so nobody can sign in."""
    return (
        insert(accounts)
        .values(id=DELETED_OWNER, public_key=DELETED_OWNER, created_at=param("now"), updated_at=param("now"))
        .on_conflict_do_nothing()
    )


# Concurrent replicas take different rows, or none.
CLAIM_SESSION = (
    sa.select(sessions.c.id)
    .where(sessions.c.account_id == DELETED_OWNER, sessions.c.updated_at <= _now)
    .order_by(sessions.c.updated_at)
    .limit(sa.literal_column("1"))
    .with_for_update(skip_locked=True, key_share=True)
)
CLAIM_MACHINE = (
    sa.select(machines.c.id)
    .where(machines.c.deleted_at <= _now)
    .order_by(machines.c.deleted_at)
    .limit(sa.literal_column("1"))
    .with_for_update(skip_locked=True, key_share=True)
)


def _some(table: sa.Table, owner: Any, deleted: Any, *order: Any) -> Any:
    """Delete a batch of rows of a deleted session or machine, in the order of the index that finds them."""
    is_deleted = sa.exists().where(deleted)
    found = sa.select(table.c.id).where(owner == _target, is_deleted).order_by(*order).limit(_limit)
    return sa.delete(table).where(table.c.id.in_(found.scalar_subquery())).returning(table.c.id)


REMOVE_MESSAGES = _some(
    session_messages, session_messages.c.session_id, _deleted_session, session_messages.c.seq
)
REMOVE_USAGE = _some(usage_reports, usage_reports.c.session_id, _deleted_session)
REMOVE_KEYS_OF_SESSION = _some(access_keys, access_keys.c.session_id, _deleted_session)
REMOVE_KEYS_OF_MACHINE = _some(access_keys, access_keys.c.machine_id, _deleted_machine)

# Until the commit no row can be added that refers to the locked one.
LOCK_SESSION = sa.select(sessions.c.id).where(_deleted_session).with_for_update()
LOCK_MACHINE = sa.select(machines.c.id).where(_deleted_machine).with_for_update()
FINISH_SESSION = sa.delete(sessions).where(_deleted_session)
FINISH_MACHINE = sa.delete(machines).where(_deleted_machine)

POSTPONE_SESSION = sa.update(sessions).where(_deleted_session).values(updated_at=param("until"))
POSTPONE_MACHINE = sa.update(machines).where(_deleted_machine).values(deleted_at=param("until"))
