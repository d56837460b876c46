"""Statements on linking requests of devices: the same seven for both kinds."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.columns import is_answered, is_unanswered
from schema.tables import account_auth_requests, terminal_auth_requests

_terminal, _account = terminal_auth_requests, account_auth_requests


def _supports_v2(table: sa.Table) -> Any:
    return table.c.supports_v2 if table is _terminal else sa.literal_column("false").label("supports_v2")


def _columns(table: sa.Table) -> list[Any]:
    return [
        table.c.id,
        _supports_v2(table),
        table.c.response,
        table.c.response_account_id.label("account_id"),
        table.c.updated_at,
        table.c.picked_up_at,
    ]


def _get(table: sa.Table) -> Any:
    return sa.select(*_columns(table)).where(table.c.public_key == param("public_key"))


def _values(table: sa.Table) -> dict[str, Any]:
    return {"supports_v2": param("supports_v2")} if table is _terminal else {}


def _open(table: sa.Table, insert: Any) -> Any:
    return (
        insert(table)
        .values(
            id=param("id"),
            public_key=param("public_key"),
            created_at=param("now"),
            updated_at=param("now"),
            **_values(table),
        )
        .on_conflict_do_nothing(index_elements=[table.c.public_key])
    )


def _reopen(table: sa.Table) -> Any:
    return (
        sa.update(table)
        .where(table.c.public_key == param("public_key"))
        .values(
            response=sa.null(),
            response_account_id=sa.null(),
            picked_up_at=sa.null(),
            created_at=param("now"),
            updated_at=param("now"),
            **_values(table),
        )
    )


def _answer(table: sa.Table) -> Any:
    return (
        sa.update(table)
        .where(
            table.c.public_key == param("public_key"),
            is_unanswered(table),
        )
        .values(response=param("response"), response_account_id=param("account"), updated_at=param("now"))
        .returning(table.c.id)
    )


def _pick_up(table: sa.Table) -> Any:
    """`updated_at` stays: it is the time of the answer."""
    return (
        sa.update(table)
        .where(table.c.public_key == param("public_key"), table.c.picked_up_at.is_(None))
        .values(picked_up_at=param("now"))
    )


def _drop(table: sa.Table, kind: Any) -> Any:
    """Delete a batch of requests, found by the partial index of their kind."""
    found = (
        sa.select(table.c.id)
        .where(table.c.updated_at < param("deadline", type_=table.c.updated_at.type), kind)
        .order_by(table.c.updated_at)
        .limit(param("limit", type_=sa.Integer))
    )
    return sa.delete(table).where(table.c.id.in_(found.scalar_subquery())).returning(table.c.id)


GET_TERMINAL = _get(_terminal)
GET_ACCOUNT = _get(_account)


def OPEN_TERMINAL(insert: Any) -> Any:
    return _open(_terminal, insert)


def OPEN_ACCOUNT(insert: Any) -> Any:
    return _open(_account, insert)


REOPEN_TERMINAL = _reopen(_terminal)
REOPEN_ACCOUNT = _reopen(_account)
ANSWER_TERMINAL = _answer(_terminal)
ANSWER_ACCOUNT = _answer(_account)
PICK_UP_TERMINAL = _pick_up(_terminal)
PICK_UP_ACCOUNT = _pick_up(_account)
DROP_UNANSWERED_TERMINAL = _drop(_terminal, is_unanswered(_terminal))
DROP_UNANSWERED_ACCOUNT = _drop(_account, is_unanswered(_account))
DROP_ANSWERED_TERMINAL = _drop(_terminal, is_answered(_terminal))
DROP_ANSWERED_ACCOUNT = _drop(_account, is_answered(_account))
