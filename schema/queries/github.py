"""Statements on GitHub users, the accounts linked to them, and the states that were used to link."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.expressions import byte_order
from schema.tables import accounts, github_users, repeat_keys
from schema.types import Json, Millis

_own = accounts.c.id == param("account")

# Locked in the order in which update numbers are taken, so that transactions cannot deadlock.
HOLDERS = (
    sa.select(accounts.c.id, accounts.c.github_user_id, accounts.c.username)
    .where(
        sa.or_(
            _own,
            accounts.c.github_user_id == param("github_id"),
            accounts.c.username == param("username"),
        )
    )
    .order_by(byte_order(accounts.c.id))
    .with_for_update()
)

LINKED = (
    sa.select(accounts.c.id, accounts.c.github_user_id, accounts.c.username).where(_own).with_for_update()
)


def SAVE_USER(insert: Any) -> Any:
    statement = insert(github_users).values(
        id=param("github_id"),
        profile=param("profile"),
        token=param("token"),
        token_key=param("key_id"),
        created_at=param("now"),
        updated_at=param("now"),
    )
    return statement.on_conflict_do_update(
        index_elements=[github_users.c.id],
        set_={
            github_users.c.profile: statement.excluded.profile,
            github_users.c.token: statement.excluded.token,
            github_users.c.token_key: statement.excluded.token_key,
            github_users.c.updated_at: statement.excluded.updated_at,
        },
    )


DELETE_USER = sa.delete(github_users).where(github_users.c.id == param("github_id"))

# Without a new picture the former one is kept.
LINK = (
    sa.update(accounts)
    .where(_own)
    .values(
        github_user_id=param("github_id"),
        username=param("username"),
        first_name=param("first_name"),
        last_name=param("last_name"),
        avatar=sa.func.coalesce(param("avatar", type_=Json), accounts.c.avatar),
        updated_at=param("now"),
    )
)

UNLINK = (
    sa.update(accounts)
    .where(_own)
    .values(github_user_id=sa.null(), username=sa.null(), updated_at=param("now"))
)

DROP_USERNAME = sa.update(accounts).where(_own).values(username=sa.null(), updated_at=param("now"))


# Tokens that can be used once; nothing else uses this table.
def SPEND_STATE(insert: Any) -> Any:
    return (
        insert(repeat_keys)
        .values(
            key=param("key"),
            value=sa.literal_column("''"),
            created_at=param("now"),
            expires_at=param("expires"),
        )
        .on_conflict_do_nothing(index_elements=[repeat_keys.c.key])
        .returning(repeat_keys.c.key)
    )


STATE = "github-state:"

# By expiry: other servers have a few rows of their own here.
_expired = (
    sa.select(repeat_keys.c.key)
    .where(
        sa.func.substr(repeat_keys.c.key, 1, len(STATE)) == STATE,
        repeat_keys.c.expires_at < param("now", type_=Millis),
    )
    .order_by(repeat_keys.c.expires_at)
    .limit(param("limit", type_=sa.Integer))
)
FORGET_STATES = sa.delete(repeat_keys).where(repeat_keys.c.key.in_(_expired.scalar_subquery()))
