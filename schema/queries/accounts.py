"""Statements on accounts, their settings and their push tokens."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.expressions import any_of
from schema.tables import accounts, github_users, push_tokens, service_account_tokens

_own = accounts.c.id == param("account")


def UPSERT(insert: Any) -> Any:
    statement = insert(accounts).values(
        id=param("id"),
        public_key=param("public_key"),
        created_at=param("now"),
        updated_at=param("now"),
    )
    return statement.on_conflict_do_update(
        index_elements=[accounts.c.public_key], set_={accounts.c.updated_at: statement.excluded.updated_at}
    ).returning(accounts.c.id)


TOUCH = (
    sa.update(accounts)
    .where(accounts.c.public_key == param("public_key"))
    .values(updated_at=param("now"))
    .returning(accounts.c.id)
)

IS_KNOWN = sa.select(accounts.c.id).where(accounts.c.public_key == param("public_key"))

EXISTING = sa.select(accounts.c.id).where(any_of(accounts.c.id, "accounts"))

GET = (
    sa.select(
        accounts.c.id,
        accounts.c.first_name,
        accounts.c.last_name,
        accounts.c.username,
        accounts.c.avatar,
        github_users.c.profile.label("github"),
    )
    .select_from(accounts.outerjoin(github_users, accounts.c.github_user_id == github_users.c.id))
    .where(_own)
)

CONNECTED_SERVICES = (
    sa.select(service_account_tokens.c.vendor)
    .where(service_account_tokens.c.account_id == param("account"))
    .order_by(service_account_tokens.c.created_at, service_account_tokens.c.id)
)

SETTINGS = sa.select(accounts.c.settings.label("value"), accounts.c.settings_version.label("version")).where(
    _own
)

SWAP_SETTINGS = (
    sa.update(accounts)
    .where(_own, accounts.c.settings_version == param("expected"))
    .values(
        settings=param("value"),
        settings_version=accounts.c.settings_version + 1,
        updated_at=param("now"),
    )
    .returning(accounts.c.settings.label("value"), accounts.c.settings_version.label("version"))
)

TAKE_SEQ = (
    sa.update(accounts)
    .where(_own)
    .values(seq=accounts.c.seq + param("count", type_=sa.Integer), updated_at=param("now"))
    .returning(accounts.c.seq)
)

PUSH_TOKENS = (
    sa.select(push_tokens.c.id, push_tokens.c.token, push_tokens.c.created_at, push_tokens.c.updated_at)
    .where(push_tokens.c.account_id == param("account"))
    .order_by(push_tokens.c.created_at.desc(), push_tokens.c.id.desc())
)


def ADD_PUSH_TOKEN(insert: Any) -> Any:
    statement = insert(push_tokens).values(
        id=param("id"),
        account_id=param("account"),
        token=param("token"),
        created_at=param("now"),
        updated_at=param("now"),
    )
    return statement.on_conflict_do_update(
        index_elements=[push_tokens.c.account_id, push_tokens.c.token],
        set_={push_tokens.c.updated_at: statement.excluded.updated_at},
    )


DROP_PUSH_TOKEN = sa.delete(push_tokens).where(
    push_tokens.c.account_id == param("account"), push_tokens.c.token == param("token")
)

TAKE_PUSH_TOKEN = sa.delete(push_tokens).where(
    push_tokens.c.token == param("token"), push_tokens.c.account_id != param("account")
)
