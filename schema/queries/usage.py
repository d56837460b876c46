"""Statements on usage reports."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.figures import figures, is_figure, sum_of
from schema.queries.deletions import DELETED_OWNER
from schema.tables import sessions, usage_reports
from schema.types import Millis

_stored = [usage_reports.c.id, usage_reports.c.created_at, usage_reports.c.updated_at]


def SAVE(insert: Any) -> Any:
    statement = insert(usage_reports).values(
        id=param("id"),
        key=param("key"),
        account_id=param("account"),
        session_id=param("session"),
        data=param("data"),
        created_at=param("now"),
        updated_at=param("now"),
    )
    return statement.on_conflict_do_update(
        index_elements=[
            usage_reports.c.account_id,
            usage_reports.c.session_id,
            usage_reports.c.key,
        ],
        set_={
            usage_reports.c.data: statement.excluded.data,
            usage_reports.c.updated_at: statement.excluded.updated_at,
        },
    ).returning(*_stored)


# In both databases the unique index allows several rows with a null session.
REPLACE_WITHOUT_SESSION = (
    sa.update(usage_reports)
    .where(
        usage_reports.c.account_id == param("account"),
        usage_reports.c.session_id.is_(None),
        usage_reports.c.key == param("key"),
    )
    .values(data=param("data"), updated_at=param("now"))
    .returning(*_stored)
)

# Sums are read in portions, from one `(created_at, id)` to another, so that other statements need not wait.
_usage = usage_reports.c
_cursor = sa.tuple_(_usage.created_at, _usage.id)


def _at(name: str) -> Any:
    return sa.tuple_(param(f"{name}_at", type_=Millis), param(f"{name}_id", type_=sa.Text))


_created = sa.type_coerce(Millis().column_expression(_usage.created_at), sa.BigInteger)
_start = (_created - _created % param("length", type_=sa.BigInteger)).label("start")
# Reports of deleted sessions are removed later; such sessions are few and read once.
_deleted = sa.select(sessions.c.id).where(sessions.c.account_id == DELETED_OWNER).scalar_subquery()
_is_shown = sa.or_(_usage.session_id.is_(None), _usage.session_id.not_in(_deleted))
_of_account = sa.and_(_usage.account_id == param("account"), _is_shown)
_of_session = sa.and_(_of_account, _usage.session_id == param("session"))


def _last(whose: Any) -> Any:
    """The last report of a portion that is full."""
    return (
        sa.select(_usage.created_at, _usage.id)
        .where(whose, _cursor > _at("after"), _usage.created_at <= param("until", type_=Millis))
        .order_by(_usage.created_at, _usage.id)
        .limit(sa.literal_column("1"))
        .offset(param("skip", type_=sa.Integer))
    )


def _portion(whose: Any) -> Any:
    return sa.and_(whose, _cursor > _at("after"), _cursor <= _at("last"))


def _counts(whose: Any) -> Any:
    return sa.select(_start, sa.func.count()).where(_portion(whose)).group_by(sa.literal_column("1"))


def _sums(whose: Any, part: str) -> Any:
    rows = figures(_usage.data, part)
    return (
        sa.select(_start, rows.c.key, sum_of(rows))
        .select_from(usage_reports, rows)
        .where(_portion(whose), is_figure(rows))
        .group_by(sa.literal_column("1"), rows.c.key)
        .limit(param("limit", type_=sa.Integer))
    )


LAST = _last(_of_account)
COUNTS = _counts(_of_account)
TOKENS = _sums(_of_account, "tokens")
COSTS = _sums(_of_account, "cost")
LAST_OF_SESSION = _last(_of_session)
COUNTS_OF_SESSION = _counts(_of_session)
TOKENS_OF_SESSION = _sums(_of_session, "tokens")
COSTS_OF_SESSION = _sums(_of_session, "cost")
