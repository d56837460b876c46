"""Statements on accounts as others see them; `viewer` is the one that looks."""

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.tables import accounts, github_users
from schema.tables import user_relationships as relations

_toward = sa.and_(
    relations.c.from_user_id == param("viewer"),
    relations.c.to_user_id == accounts.c.id,
)
_people = (
    sa.select(
        accounts.c.id,
        accounts.c.first_name,
        accounts.c.last_name,
        accounts.c.username,
        accounts.c.avatar,
        github_users.c.profile,
        sa.func.coalesce(relations.c.status, sa.literal_column("'none'")),
    )
    .select_from(accounts)
    .outerjoin(github_users, accounts.c.github_user_id == github_users.c.id)
)

GET = _people.outerjoin(relations, _toward).where(accounts.c.id == param("account"))

# An empty username is none. The comparison also lets SQLite start in its index.
SEARCH = (
    _people.outerjoin(relations, _toward)
    .where(
        accounts.c.username > sa.literal_column("''"),
        accounts.c.username.ilike(param("pattern", type_=sa.Text), escape="\\"),
    )
    .order_by(accounts.c.username)
    .limit(param("limit", type_=sa.Integer))
)

FRIENDS = (
    _people.join(relations, _toward)
    .where(relations.c.status.in_(["friend", "pending", "requested"]))
    .order_by(accounts.c.id)
)
