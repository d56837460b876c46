"""Statements on linking requests of devices: the same five for both kinds."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.columns import is_unanswered
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


def _drop_unanswered(table: sa.Table) -> Any:
    """Delete a batch of unanswered requests, found by their partial index."""
    found = (
        sa.select(table.c.id)
        .where(table.c.updated_at < param("deadline", type_=table.c.updated_at.type), is_unanswered(table))
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
DROP_UNANSWERED_TERMINAL = _drop_unanswered(_terminal)
DROP_UNANSWERED_ACCOUNT = _drop_unanswered(_account)
