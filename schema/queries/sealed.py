"""Statements on what is stored sealed under the master secret, of all accounts."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.tables import accounts, github_users
from schema.tables import service_account_tokens as tokens

_limit = param("limit", type_=sa.Integer)


def _counts(table: sa.Table) -> Any:
    return (
        sa.select(table.c.token_key, sa.func.count().label("count"))
        .where(table.c.token.is_not(None))
        .group_by(table.c.token_key)
        .order_by(table.c.token_key)
    )


def _pending(table: sa.Table) -> Any:
    """Those behind an id that are not known to be sealed with a key."""
    key = table.c.token_key
    return sa.and_(
        table.c.id > param("after"),
        table.c.token.is_not(None),
        sa.or_(key.is_(None), key != param("key_id")),
    )


def _replace(table: sa.Table) -> Any:
    return (
        sa.update(table)
        .where(table.c.id == param("id"), table.c.token == param("before"))
        .values(token=param("token"), token_key=param("key_id"))
        .returning(table.c.id)
    )


COUNTS_VENDOR = _counts(tokens)
COUNTS_GITHUB = _counts(github_users)

PAGE_VENDOR = (
    sa.select(tokens.c.id, tokens.c.account_id, tokens.c.vendor, tokens.c.token)
    .where(_pending(tokens))
    .order_by(tokens.c.id)
    .limit(_limit)
)
PAGE_GITHUB = (
    sa.select(
        github_users.c.id,
        accounts.c.id.label("account_id"),
        sa.null().label("vendor"),
        github_users.c.token,
    )
    .select_from(github_users.outerjoin(accounts, accounts.c.github_user_id == github_users.c.id))
    .where(_pending(github_users))
    .order_by(github_users.c.id)
    .limit(_limit)
)

REPLACE_VENDOR = _replace(tokens)
REPLACE_GITHUB = _replace(github_users)
