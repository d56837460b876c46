"""Statements on deleted accounts, sessions and machines, whose rows are removed in small batches.

A deleted session is moved to `DELETED_OWNER`, an account that nobody can sign in to, until its rows are
removed. Every statement on a session or its messages names the owner, so none finds it any more, in whichever
release or replica. A machine cannot be moved, because its access keys refer to its owner too (ON UPDATE
CASCADE): it has a time of deletion instead. A deleted account keeps its id, which no token is accepted for
any more, but neither its key nor its names; its sessions become deleted sessions.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.tables import (
    access_keys,
    accounts,
    announcements,
    artifacts,
    machines,
    push_tokens,
    revocations,
    service_account_tokens,
    session_messages,
    sessions,
    token_uses,
    uploaded_files,
    usage_reports,
    user_feed_items,
    user_kv,
    user_relationships,
    voice_conversations,
)
from schema.types import Millis

DELETED_OWNER = sa.literal_column("'deleted-sessions'", sa.Text)
_limit = param("limit", type_=sa.Integer)
_now = param("now", type_=Millis)
_target = param("target", type_=sa.Text)
_deleted_session = sa.and_(sessions.c.id == _target, sessions.c.account_id == DELETED_OWNER)
_deleted_machine = sa.and_(machines.c.id == _target, machines.c.deleted_at.is_not(None))


def ADD_OWNER(insert: Any) -> Any:
    """Its public key is not a valid one, so nobody can sign in."""
    return (
        insert(accounts)
        .values(id=DELETED_OWNER, public_key=DELETED_OWNER, created_at=param("now"), updated_at=param("now"))
        .on_conflict_do_nothing()
    )


# Concurrent replicas take different rows, or none.
CLAIM_SESSION = (
    sa.select(sessions.c.id)
    .where(sessions.c.account_id == DELETED_OWNER, sessions.c.updated_at <= _now)
    .order_by(sessions.c.updated_at)
    .limit(sa.literal_column("1"))
    .with_for_update(skip_locked=True, key_share=True)
)
CLAIM_MACHINE = (
    sa.select(machines.c.id)
    .where(machines.c.deleted_at <= _now)
    .order_by(machines.c.deleted_at)
    .limit(sa.literal_column("1"))
    .with_for_update(skip_locked=True, key_share=True)
)


def _some(table: sa.Table, owner: Any, deleted: Any, *order: Any) -> Any:
    """Delete a batch of rows of a deleted session or machine, in the order of the index that finds them."""
    is_deleted = sa.exists().where(deleted)
    found = sa.select(table.c.id).where(owner == _target, is_deleted).order_by(*order).limit(_limit)
    return sa.delete(table).where(table.c.id.in_(found.scalar_subquery())).returning(table.c.id)


REMOVE_MESSAGES = _some(
    session_messages, session_messages.c.session_id, _deleted_session, session_messages.c.seq
)
REMOVE_USAGE = _some(usage_reports, usage_reports.c.session_id, _deleted_session)
REMOVE_KEYS_OF_SESSION = _some(access_keys, access_keys.c.session_id, _deleted_session)
REMOVE_KEYS_OF_MACHINE = _some(access_keys, access_keys.c.machine_id, _deleted_machine)

# Until the commit no row can be added that refers to the locked one.
LOCK_SESSION = sa.select(sessions.c.id).where(_deleted_session).with_for_update()
LOCK_MACHINE = sa.select(machines.c.id).where(_deleted_machine).with_for_update()
FINISH_SESSION = sa.delete(sessions).where(_deleted_session)
FINISH_MACHINE = sa.delete(machines).where(_deleted_machine)

POSTPONE_SESSION = sa.update(sessions).where(_deleted_session).values(updated_at=param("until"))
POSTPONE_MACHINE = sa.update(machines).where(_deleted_machine).values(deleted_at=param("until"))


# Accounts

_shut_out = sa.and_(revocations.c.account_id == _target, revocations.c.deleted_at.is_not(None))
_deleted_account = sa.and_(accounts.c.id == _target, sa.exists().where(_shut_out))

HIDE_ACCOUNT = (
    sa.update(accounts)
    .where(accounts.c.id == _target)
    .values(
        public_key=sa.literal_column("'deleted:'", sa.Text) + accounts.c.id,
        github_user_id=sa.null(),
        username=sa.null(),
        first_name=sa.null(),
        last_name=sa.null(),
        avatar=sa.null(),
        updated_at=_now,
    )
)

# Nobody else gets these pictures from now on.
HIDE_PICTURES = (
    sa.update(uploaded_files).where(uploaded_files.c.account_id == _target).values(reuse_key=sa.null())
)

CLAIM_ACCOUNT = (
    sa.select(accounts.c.id)
    .select_from(revocations.join(accounts, accounts.c.id == revocations.c.account_id))
    .where(revocations.c.deleted_at <= _now)
    .order_by(revocations.c.deleted_at)
    .limit(sa.literal_column("1"))
    .with_for_update(skip_locked=True, key_share=True, of=accounts)
)

REMOVE_KEYS_OF_ACCOUNT = _some(access_keys, access_keys.c.account_id, _shut_out)
REMOVE_USAGE_OF_ACCOUNT = _some(usage_reports, usage_reports.c.account_id, _shut_out)
REMOVE_MACHINES = _some(machines, machines.c.account_id, _shut_out)
REMOVE_ARTIFACTS = _some(artifacts, artifacts.c.account_id, _shut_out)
REMOVE_KV = _some(user_kv, user_kv.c.account_id, _shut_out)
REMOVE_PUSH_TOKENS = _some(push_tokens, push_tokens.c.account_id, _shut_out)
REMOVE_FEED = _some(user_feed_items, user_feed_items.c.user_id, _shut_out)
REMOVE_VENDOR_TOKENS = _some(service_account_tokens, service_account_tokens.c.account_id, _shut_out)
REMOVE_VOICE = _some(voice_conversations, voice_conversations.c.account_id, _shut_out)
REMOVE_PICTURES = _some(uploaded_files, uploaded_files.c.account_id, _shut_out)
REMOVE_ANNOUNCEMENTS = _some(announcements, announcements.c.account_id, _shut_out)
REMOVE_TOKEN_USES = _some(token_uses, token_uses.c.account_id, _shut_out)

_own_sessions = (
    sa.select(sessions.c.id)
    .where(sessions.c.account_id == _target, sa.exists().where(_shut_out))
    .limit(_limit)
)
REMOVE_SESSIONS_OF_ACCOUNT = (
    sa.update(sessions)
    .where(sessions.c.id.in_(_own_sessions.scalar_subquery()))
    .values(account_id=DELETED_OWNER, tag=sessions.c.id, active=sa.false())
    .returning(sessions.c.id)
)


def _relations(party: Any) -> Any:
    pair = sa.tuple_(user_relationships.c.from_user_id, user_relationships.c.to_user_id)
    found = (
        sa.select(user_relationships.c.from_user_id, user_relationships.c.to_user_id)
        .where(party == _target, sa.exists().where(_shut_out))
        .limit(_limit)
    )
    return sa.delete(user_relationships).where(pair.in_(found)).returning(user_relationships.c.from_user_id)


REMOVE_RELATIONS_FROM = _relations(user_relationships.c.from_user_id)
REMOVE_RELATIONS_TO = _relations(user_relationships.c.to_user_id)

# The row of the account is kept: replicas read the deletion from it.
_revoked_tokens = (
    sa.select(revocations.c.id)
    .where(revocations.c.account_id == _target, revocations.c.token_id.is_not(None))
    .limit(_limit)
)
REMOVE_REVOKED_TOKENS = (
    sa.delete(revocations)
    .where(revocations.c.id.in_(_revoked_tokens.scalar_subquery()))
    .returning(revocations.c.id)
)

LOCK_ACCOUNT = sa.select(accounts.c.id).where(_deleted_account).with_for_update()
FINISH_ACCOUNT = sa.delete(accounts).where(_deleted_account)
POSTPONE_ACCOUNT = sa.update(revocations).where(_shut_out).values(deleted_at=param("until"))

PICTURES_IN_USE = (
    sa.select(accounts.c.id)
    .where(
        accounts.c.id != _target,
        sa.cast(accounts.c.avatar, sa.Text).contains(param("folder", type_=sa.Text)),
    )
    .limit(sa.literal_column("1"))
)
