"""Statements on the fingerprint of the master secret that the stored data was made with."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.tables import accounts, simple_caches

# This table is part of the data model, and nothing else uses it.
_KEY = "happy-server:master-secret"

FINGERPRINT = sa.select(simple_caches.c.value).where(simple_caches.c.key == sa.literal_column(f"'{_KEY}'"))

# The condition allows an index to be used.
SOME_ACCOUNT = (
    sa.select(accounts.c.id).where(accounts.c.id > sa.literal_column("''")).limit(sa.literal_column("1"))
)


def _insert(insert: Any) -> Any:
    return insert(simple_caches).values(
        key=sa.literal_column(f"'{_KEY}'"),
        value=param("fingerprint"),
        created_at=param("now"),
        updated_at=param("now"),
    )


def CLAIM(insert: Any) -> Any:
    return _insert(insert).on_conflict_do_nothing(index_elements=[simple_caches.c.key])


def REPLACE(insert: Any) -> Any:
    statement = _insert(insert)
    return statement.on_conflict_do_update(
        index_elements=[simple_caches.c.key],
        set_={
            simple_caches.c.value: statement.excluded.value,
            simple_caches.c.updated_at: statement.excluded.updated_at,
        },
    )
