"""Statements on profiles of accounts; `viewer` is the account that reads them."""

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.expressions import ignoring_case
from schema.queries.deletions import DELETED_OWNER
from schema.tables import accounts, github_users
from schema.tables import user_relationships as relations

_toward = sa.and_(
    relations.c.from_user_id == param("viewer"),
    relations.c.to_user_id == accounts.c.id,
)
_profile = [
    accounts.c.id,
    accounts.c.first_name,
    accounts.c.last_name,
    accounts.c.username,
    accounts.c.avatar,
    github_users.c.profile,
]
_with_github = accounts.outerjoin(github_users, accounts.c.github_user_id == github_users.c.id)
# A subquery per person: with a join all relations of the viewer might be read for a few people.
_status = sa.select(relations.c.status).where(_toward).correlate(accounts).scalar_subquery()
_people = sa.select(*_profile, sa.func.coalesce(_status, sa.literal_column("'none'"))).select_from(
    _with_github
)

GET = _people.where(accounts.c.id == param("account"), accounts.c.id != DELETED_OWNER)

# A range instead of LIKE: it uses the index, and no character is a wildcard.
_username = ignoring_case(accounts.c.username)
SEARCH = (
    _people.where(
        _username >= param("first", type_=sa.Text),
        _username < param("end", type_=sa.Text),
    )
    .order_by(_username)
    .limit(param("limit", type_=sa.Integer))
)

FRIENDS = (
    sa.select(*_profile, relations.c.status)
    .select_from(_with_github.join(relations, _toward))
    .where(relations.c.status.in_(["friend", "pending", "requested"]))
    .order_by(relations.c.to_user_id)
)
