"""Statements on relations between accounts."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.expressions import byte_order
from schema.queries.deletions import DELETED_OWNER
from schema.tables import accounts
from schema.tables import user_relationships as relations

_direction = sa.and_(relations.c.from_user_id == param("owner"), relations.c.to_user_id == param("other"))

# Relations that do not exist yet cannot be locked, so both accounts are: changes of a pair are serialized.
# In the order in which update numbers are taken, so that transactions cannot deadlock.
LOCK_PAIR = (
    sa.select(accounts.c.id)
    .where(
        sa.or_(accounts.c.id == param("one"), accounts.c.id == param("other")),
        accounts.c.id != DELETED_OWNER,
    )
    .order_by(byte_order(accounts.c.id))
    .with_for_update(key_share=True)
)

GET = sa.select(
    relations.c.from_user_id, relations.c.to_user_id, relations.c.status, relations.c.last_notified_at
).where(_direction)


def SAVE(insert: Any) -> Any:
    statement = insert(relations).values(
        from_user_id=param("owner"),
        to_user_id=param("other"),
        status=param("status"),
        accepted_at=param("accepted_at"),
        created_at=param("now"),
        updated_at=param("now"),
    )
    return statement.on_conflict_do_update(
        index_elements=[relations.c.from_user_id, relations.c.to_user_id],
        set_={
            relations.c.status: statement.excluded.status,
            relations.c.accepted_at: statement.excluded.accepted_at,
            relations.c.updated_at: statement.excluded.updated_at,
        },
    )


MARK_NOTIFIED = (
    sa.update(relations).where(_direction).values(last_notified_at=param("now"), updated_at=param("now"))
)
