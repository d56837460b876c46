"""Statements on the feeds of accounts."""

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.tables import accounts
from schema.tables import user_feed_items as items

_of_account = items.c.user_id == param("account")
_columns = [items.c.id, items.c.body, items.c.repeat_key, items.c.counter, items.c.created_at]

TAKE_COUNTER = (
    sa.update(accounts)
    .where(accounts.c.id == param("account"))
    .values(feed_seq=accounts.c.feed_seq + sa.literal_column("1"), updated_at=param("now"))
    .returning(accounts.c.feed_seq)
)

DROP_REPEATED = sa.delete(items).where(_of_account, items.c.repeat_key == param("repeat_key"))

ADD = sa.insert(items).values(
    id=param("id"),
    user_id=param("account"),
    counter=param("counter"),
    repeat_key=param("repeat_key"),
    body=param("body"),
    created_at=param("now"),
    updated_at=param("now"),
)

PAGE = (
    sa.select(*_columns)
    .where(_of_account, items.c.counter > param("after"), items.c.counter < param("before"))
    .order_by(items.c.counter.desc())
    .limit(param("limit", type_=sa.Integer))
)
