"""Statements for the administration of accounts."""

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.expressions import byte_order
from schema.queries.deletions import DELETED_OWNER
from schema.tables import (
    access_keys,
    accounts,
    artifacts,
    machines,
    push_tokens,
    revocations,
    sessions,
    uploaded_files,
)
from schema.types import Millis

_columns = (
    accounts.c.id,
    accounts.c.public_key,
    accounts.c.username,
    accounts.c.first_name,
    accounts.c.last_name,
    accounts.c.created_at,
    accounts.c.updated_at,
    sa.case(
        (revocations.c.deleted_at.is_not(None), sa.literal_column("'deleted'")),
        (revocations.c.disabled_at.is_not(None), sa.literal_column("'disabled'")),
        else_=sa.literal_column("'active'"),
    ).label("state"),
    revocations.c.signed_out_at,
)
_with_state = accounts.outerjoin(
    revocations, revocations.c.id == sa.literal_column("'account:'", sa.Text) + accounts.c.id
)
_is_account = accounts.c.id != DELETED_OWNER
_account = param("account", type_=sa.Text)

PAGE = (
    sa.select(*_columns)
    .select_from(_with_state)
    .where(_is_account, accounts.c.id > param("after"))
    .order_by(accounts.c.id)
    .limit(param("limit", type_=sa.Integer))
)

FIND = (
    sa.select(*_columns)
    .select_from(_with_state)
    .where(
        _is_account,
        sa.or_(
            accounts.c.id == _account,
            accounts.c.public_key == param("public_key"),
            accounts.c.username == _account,
        ),
    )
)


def _count(table: sa.Table, *conditions: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
    return (
        sa.select(sa.func.count())
        .select_from(table)
        .where(table.c.account_id == _account, *conditions)
        .scalar_subquery()
    )


_messages = (
    sa.select(sa.cast(sa.func.coalesce(sa.func.sum(sessions.c.seq), 0), sa.BigInteger))
    .where(sessions.c.account_id == _account)
    .scalar_subquery()
)

BELONGINGS = sa.select(
    _count(sessions).label("sessions"),
    _messages.label("messages"),
    _count(machines, machines.c.deleted_at.is_(None)).label("machines"),
    _count(artifacts).label("artifacts"),
    _count(uploaded_files).label("files"),
    _count(push_tokens).label("push_tokens"),
)

_limit = param("limit", type_=sa.Integer)

_of_session = (
    sessions.c.id,
    sessions.c.account_id,
    sessions.c.active,
    sessions.c.seq,
    sessions.c.stored_bytes,
    sessions.c.attachments,
    sessions.c.created_at,
    sessions.c.updated_at,
    sessions.c.last_active_at,
)

SESSIONS = (
    sa.select(*_of_session)
    .where(sessions.c.account_id == _account, byte_order(sessions.c.id) < param("before", type_=sa.Text))
    .order_by(byte_order(sessions.c.id).desc())
    .limit(_limit)
)

SESSION = sa.select(*_of_session).where(
    sessions.c.id == param("session"), sessions.c.account_id != DELETED_OWNER
)

_of_machine = (
    machines.c.id,
    machines.c.account_id,
    machines.c.active,
    machines.c.created_at,
    machines.c.updated_at,
    machines.c.last_active_at,
)
_is_there = machines.c.deleted_at.is_(None)

MACHINES = (
    sa.select(*_of_machine)
    .where(
        machines.c.account_id == _account,
        _is_there,
        sa.tuple_(machines.c.last_active_at, machines.c.id)
        < sa.tuple_(param("time", type_=Millis), param("name", type_=sa.Text)),
    )
    .order_by(machines.c.last_active_at.desc(), machines.c.id.desc())
    .limit(_limit)
)

MACHINE = sa.select(*_of_machine).where(machines.c.id == param("machine"), _is_there)

ACCESS_KEYS = (
    sa.select(sa.func.count()).select_from(access_keys).where(access_keys.c.machine_id == param("machine"))
)
