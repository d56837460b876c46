"""Statements on what was deleted, and whose rows are still to be removed a few at a time.

A deleted session belongs to `DELETED_OWNER`, an account that nobody can sign in to, until its rows are gone.
Every statement on a session or its messages names the owner, so none sees it any more, whichever release or
replica runs the statement. A machine cannot change hands, as its access keys would all follow: it has a
moment of deletion instead.
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
    """Its key is none that a signature could belong to."""
    return (
        insert(accounts)
        .values(id=DELETED_OWNER, public_key=DELETED_OWNER, created_at=param("now"), updated_at=param("now"))
        .on_conflict_do_nothing()
    )


# Replicas that work at the same time take different ones, or none.
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
    """Delete a few rows of what was deleted; the order is that of the index in which they are found."""
    is_deleted = sa.exists().where(deleted)
    found = sa.select(table.c.id).where(owner == _target, is_deleted).order_by(*order).limit(_limit)
    return sa.delete(table).where(table.c.id.in_(found.scalar_subquery())).returning(table.c.id)


REMOVE_MESSAGES = _some(
    session_messages, session_messages.c.session_id, _deleted_session, session_messages.c.seq
)
REMOVE_USAGE = _some(usage_reports, usage_reports.c.session_id, _deleted_session)
REMOVE_KEYS_OF_SESSION = _some(access_keys, access_keys.c.session_id, _deleted_session)
REMOVE_KEYS_OF_MACHINE = _some(access_keys, access_keys.c.machine_id, _deleted_machine)

# Until the commit nothing new can belong to what is locked like this.
LOCK_SESSION = sa.select(sessions.c.id).where(_deleted_session).with_for_update()
LOCK_MACHINE = sa.select(machines.c.id).where(_deleted_machine).with_for_update()
FINISH_SESSION = sa.delete(sessions).where(_deleted_session)
FINISH_MACHINE = sa.delete(machines).where(_deleted_machine)

POSTPONE_SESSION = sa.update(sessions).where(_deleted_session).values(updated_at=param("until"))
POSTPONE_MACHINE = sa.update(machines).where(_deleted_machine).values(deleted_at=param("until"))
