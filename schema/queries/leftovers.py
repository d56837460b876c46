"""Statements on what is left over and can be removed: how much of it there is, and which."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.columns import is_answered, is_unanswered
from schema.expressions import any_of
from schema.queries.deletions import DELETED_OWNER
from schema.tables import (
    account_auth_requests,
    accounts,
    audit_entries,
    invite_openings,
    invites,
    machines,
    registration_requests,
    revocations,
    sessions,
    terminal_auth_requests,
)
from schema.types import Millis


def _time(name: str) -> Any:
    return param(name, type_=Millis)


def _count(table: sa.FromClause, *conditions: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
    return sa.select(sa.func.count()).select_from(table).where(*conditions).scalar_subquery()


def _unanswered(table: sa.Table) -> sa.ScalarSelect[int]:
    return _count(table, table.c.updated_at < _time("unanswered"), is_unanswered(table))


def _answered(table: sa.Table) -> sa.ScalarSelect[int]:
    return _count(table, table.c.updated_at < _time("answered"), is_answered(table))


def _requests(status: str, before: str) -> sa.ScalarSelect[int]:
    requests = registration_requests
    return _count(
        requests, requests.c.status == sa.literal_column(f"'{status}'"), requests.c.updated_at < _time(before)
    )


_linking = (_answered(terminal_auth_requests), _answered(account_auth_requests))
_registration = (
    _requests("approved", "decided"),
    _requests("refused", "decided"),
    _count(invite_openings, invite_openings.c.expires_at < _time("now")),
    _count(invites, invites.c.expires_at < _time("invites")),
)
_deleted_accounts = revocations.join(accounts, accounts.c.id == revocations.c.account_id)


def _sum(first: Any, *others: Any) -> Any:
    for each in others:
        first += each
    return first


EXPIRED = sa.select(
    _sum(_unanswered(terminal_auth_requests), _unanswered(account_auth_requests), *_linking).label("linking"),
    _sum(_requests("waiting", "waiting"), *_registration).label("registration"),
    _count(audit_entries, audit_entries.c.created_at < _time("audit")).label("audit"),
    _sum(
        _count(sessions, sessions.c.account_id == DELETED_OWNER),
        _count(machines, machines.c.deleted_at.is_not(None)),
        _count(_deleted_accounts, revocations.c.deleted_at.is_not(None)),
    ).label("deletions"),
)

_inactive = sa.and_(
    sessions.c.active == sa.false(),
    sessions.c.last_active_at < _time("before"),
    sessions.c.updated_at < _time("before"),
    sessions.c.account_id != DELETED_OWNER,
)
_zero: Any = sa.literal_column("0")
INACTIVE = sa.select(
    sa.func.count().label("sessions"),
    sa.cast(sa.func.coalesce(sa.func.sum(sessions.c.seq), _zero), sa.BigInteger).label("messages"),
    sa.cast(sa.func.coalesce(sa.func.sum(sessions.c.stored_bytes), _zero), sa.BigInteger).label("bytes"),
).where(_inactive)

SOME_INACTIVE = (
    sa.select(sessions.c.account_id, sessions.c.id)
    .where(_inactive, sessions.c.id > param("after"))
    .order_by(sessions.c.id)
    .limit(param("limit", type_=sa.Integer))
)

SESSIONS_THERE = sa.select(sessions.c.id).where(any_of(sessions.c.id, "ids"))
ACCOUNTS_THERE = sa.select(accounts.c.id).where(any_of(accounts.c.id, "ids"))
