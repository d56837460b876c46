"""Statements on the key-value store."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.expressions import any_of, byte_order
from schema.listings import Listing
from schema.tables import user_kv

_columns = [user_kv.c.key, user_kv.c.value, user_kv.c.version]
_of_account = user_kv.c.account_id == param("account")

GET_MANY = sa.select(*_columns).where(_of_account, any_of(user_kv.c.key, "keys"))

# A range instead of LIKE: it uses the index, and `%` and `_` are ordinary characters of keys.
_key = byte_order(user_kv.c.key)
_page = (
    sa.select(*_columns)
    .where(_of_account, user_kv.c.value.is_not(None), _key >= param("first", type_=sa.Text))
    .order_by(_key)
    .limit(param("limit", type_=sa.Integer))
)
PAGE = Listing(_page, user_kv.c.key, user_kv.c.value)
PAGE_UNTIL = Listing(_page.where(_key < param("end", type_=sa.Text)), user_kv.c.key, user_kv.c.value)
GIVEN = Listing(
    sa.select(*_columns)
    .where(_of_account, user_kv.c.value.is_not(None), any_of(user_kv.c.key, "keys"))
    .order_by(_key),
    user_kv.c.key,
    user_kv.c.value,
)


def ADD(insert: Any) -> Any:
    return (
        insert(user_kv)
        .values(
            id=param("id"),
            account_id=param("account"),
            key=param("key"),
            value=param("value"),
            version=sa.literal_column("0"),
            created_at=param("now"),
            updated_at=param("now"),
        )
        .on_conflict_do_nothing(index_elements=[user_kv.c.account_id, user_kv.c.key])
        .returning(user_kv.c.version)
    )


SWAP = (
    sa.update(user_kv)
    .where(_of_account, user_kv.c.key == param("key"), user_kv.c.version == param("expected"))
    .values(value=param("value"), version=user_kv.c.version + 1, updated_at=param("now"))
    .returning(user_kv.c.version)
)
