"""Statements on revocations. The row `COUNTER` holds the newest revision; its lock puts changes in order."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.tables import accounts, revocations
from schema.types import Millis

COUNTER = sa.literal_column("''", sa.Text)

_columns = (
    revocations.c.account_id,
    revocations.c.token_id,
    revocations.c.signed_out_at,
    revocations.c.disabled_at,
    revocations.c.deleted_at,
    revocations.c.changed_at,
    revocations.c.revision,
)
_values = ("account_id", "token_id", "signed_out_at", "disabled_at", "deleted_at", "changed_at", "revision")
_limit = param("limit", type_=sa.Integer)

AFTER = (
    sa.select(*_columns)
    .where(revocations.c.revision > param("revision", type_=sa.BigInteger), revocations.c.id != COUNTER)
    .order_by(revocations.c.revision)
    .limit(_limit)
)

OF_ACCOUNT = sa.select(*_columns).where(revocations.c.id == param("id"))


def LOCK(insert: Any) -> Any:
    statement = insert(revocations).values(
        id=COUNTER,
        account_id=COUNTER,
        changed_at=sa.bindparam("now", type_=Millis),
        revision=sa.literal_column("1"),
    )
    return statement.on_conflict_do_update(
        index_elements=[revocations.c.id], set_={revocations.c.revision: revocations.c.revision + 1}
    ).returning(revocations.c.revision)


def SAVE(insert: Any) -> Any:
    statement = insert(revocations).values(id=param("id"), **{name: param(name) for name in _values})
    return statement.on_conflict_do_update(
        index_elements=[revocations.c.id],
        set_={revocations.c[name]: statement.excluded[name] for name in _values},
    )


REVOKED_TOKENS = (
    sa.select(revocations.c.token_id)
    .where(revocations.c.account_id == param("account"), revocations.c.token_id.is_not(None))
    .limit(_limit)
)

_forgotten = (
    sa.select(revocations.c.id)
    .where(
        revocations.c.deleted_at < param("before", type_=Millis),
        ~sa.exists().where(accounts.c.id == revocations.c.account_id),
    )
    .order_by(revocations.c.deleted_at)
    .limit(_limit)
)
FORGET_DELETED = (
    sa.delete(revocations)
    .where(revocations.c.id.in_(_forgotten.scalar_subquery()))
    .returning(revocations.c.id)
)
