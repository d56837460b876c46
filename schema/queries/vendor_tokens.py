"""Statements on vendor tokens."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.tables import service_account_tokens as tokens

_of_account = tokens.c.account_id == param("account")
_one = sa.and_(_of_account, tokens.c.vendor == param("vendor"))


def SAVE(insert: Any) -> Any:
    statement = insert(tokens).values(
        id=param("id"),
        account_id=param("account"),
        vendor=param("vendor"),
        token=param("token"),
        token_key=param("key_id"),
        created_at=param("now"),
        updated_at=param("now"),
    )
    return statement.on_conflict_do_update(
        index_elements=[tokens.c.account_id, tokens.c.vendor],
        set_={
            tokens.c.token: statement.excluded.token,
            tokens.c.token_key: statement.excluded.token_key,
            tokens.c.updated_at: statement.excluded.updated_at,
        },
    )


GET = sa.select(tokens.c.token).where(_one)

OWNED = (
    sa.select(tokens.c.vendor, tokens.c.token).where(_of_account).order_by(tokens.c.created_at, tokens.c.id)
)

DELETE = sa.delete(tokens).where(_one)
