"""Statements on the uses of tokens."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.tables import accounts, token_uses
from schema.types import Millis

_columns = (
    token_uses.c.id,
    token_uses.c.account_id,
    token_uses.c.issued_at,
    token_uses.c.device,
    token_uses.c.address,
    token_uses.c.first_seen_at,
    token_uses.c.last_seen_at,
)
_limit = param("limit", type_=sa.Integer)


def _is_better(device: Any) -> Any:
    """A name counts always; a user agent, which stands in parentheses, only instead of another."""
    begins, began = (sa.func.substr(text, 1, 1) for text in (device, token_uses.c.device))
    return sa.and_(device != "", sa.or_(begins != "(", began.in_(("(", ""))))


def SAVE(insert: Any) -> Any:
    """Without an account nothing is inserted: it was deleted meanwhile."""
    row = sa.select(
        param("id", type_=sa.Text),
        accounts.c.id,
        param("issued_at", type_=Millis),
        param("device", type_=sa.Text),
        param("address", type_=sa.Text),
        param("first_seen_at", type_=Millis),
        param("last_seen_at", type_=Millis),
    ).where(accounts.c.id == param("account_id", type_=sa.Text))
    statement = insert(token_uses).from_select([column.key for column in _columns], row)
    device = sa.case(
        (_is_better(statement.excluded.device), statement.excluded.device), else_=token_uses.c.device
    )
    return statement.on_conflict_do_update(
        index_elements=[token_uses.c.id],
        set_={
            token_uses.c.device: device,
            token_uses.c.address: statement.excluded.address,
            token_uses.c.last_seen_at: statement.excluded.last_seen_at,
        },
    )


OF_ACCOUNT = (
    sa.select(*_columns)
    .where(token_uses.c.account_id == param("account"))
    .order_by(token_uses.c.last_seen_at.desc(), token_uses.c.id.desc())
    .limit(_limit)
)

FIND = sa.select(*_columns).where(token_uses.c.id == param("id"))

_older = (
    sa.select(token_uses.c.id)
    .where(token_uses.c.account_id == param("account"))
    .order_by(token_uses.c.last_seen_at.desc(), token_uses.c.id.desc())
    .limit(sa.literal_column("1000"))
    .offset(param("keep", type_=sa.Integer))
)
TRIM = sa.delete(token_uses).where(token_uses.c.id.in_(_older.scalar_subquery()))
