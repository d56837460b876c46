"""The message append of PostgreSQL: one statement does what SQLite does in several within its process."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as param
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from schema.constructs import any_of, only
from schema.queries import messages as queries
from schema.tables import accounts, sessions
from schema.tables import session_messages as messages
from schema.types import Millis

_of_session = messages.c.session_id == param("session")


@only("postgresql")
def APPEND(insert: Any) -> Any:
    """Number and store drafts, skip known local ids, take update numbers: at once.

    Rows: the last update number, and the new messages in order. One row without a message when all were
    known, none when the session is not the account's. As everywhere, sessions are locked before accounts.
    """
    unnested = sa.func.unnest(
        sa.cast(param("ids"), ARRAY(sa.Text)),
        sa.cast(param("local_ids"), ARRAY(sa.Text)),
        sa.cast(param("contents"), ARRAY(sa.Text)),
    ).table_valued(
        sa.column("id", sa.Text),
        sa.column("local_id", sa.Text),
        sa.column("content", sa.Text),
        with_ordinality="position",
    )
    drafts = unnested.render_derived(name="drafts")
    known = sa.exists().where(_of_session, messages.c.local_id == drafts.c.local_id)
    fresh = (
        sa.select(
            drafts.c.id,
            drafts.c.local_id,
            drafts.c.content,
            sa.func.row_number().over(order_by=drafts.c.position).label("number"),
        )
        .where(~known)
        .cte("fresh")
    )
    count = sa.select(sa.cast(sa.func.count(), sa.Integer)).select_from(fresh).scalar_subquery()
    now = param("now", type_=Millis)
    owned = queries.OWNED.cte("owned")
    taken = (
        sa.update(sessions)
        .where(
            sessions.c.id == param("session"),
            sessions.c.account_id == param("account"),
            sa.exists(sa.select(fresh.c.id)),
        )
        .values(seq=sessions.c.seq + count, updated_at=now)
        .returning(sessions.c.seq)
        .cte("taken")
    )
    created = (
        insert(messages)
        .from_select(
            ["id", "session_id", "seq", "local_id", "content", "created_at", "updated_at"],
            sa.select(
                fresh.c.id,
                param("session", type_=sa.Text),
                taken.c.seq - count + fresh.c.number,
                fresh.c.local_id,
                sa.cast(fresh.c.content, JSONB),
                now,
                now,
            ).select_from(fresh.join(taken, sa.true())),
        )
        .returning(messages.c.id, messages.c.seq, messages.c.local_id)
        .cte("created")
    )
    numbered = (
        sa.update(accounts)
        .where(accounts.c.id == param("account"), sa.exists(sa.select(taken.c.seq)))
        .values(seq=accounts.c.seq + count, updated_at=now)
        .returning(accounts.c.seq)
        .cte("numbered")
    )
    return (
        sa.select(
            sa.select(numbered.c.seq).scalar_subquery().label("update_seq"),
            created.c.id,
            created.c.seq,
            created.c.local_id,
        )
        .select_from(owned.outerjoin(created, sa.true()))
        .order_by(created.c.seq)
    )


@only("postgresql")
def BY_LOCAL_IDS(insert: Any) -> Any:  # noqa: ARG001 - the signature of every query function
    return (
        sa.select(*queries.columns)
        .where(_of_session, any_of(messages.c.local_id, "local_ids"))
        .order_by(messages.c.seq)
    )


# Many appends at once share a transaction of three statements. Sessions are locked first, then accounts, each
# in the order of their ids: two such transactions wait for each other in one direction only.


@only("postgresql")
def LOCK_SESSIONS(insert: Any) -> Any:  # noqa: ARG001 - the signature of every query function
    return (
        sa.select(sessions.c.id, sessions.c.account_id, sessions.c.seq)
        .where(any_of(sessions.c.id, "sessions"))
        .order_by(sessions.c.id)
        .with_for_update(key_share=True)
    )


@only("postgresql")
def STORED(insert: Any) -> Any:  # noqa: ARG001 - the signature of every query function
    """The messages that have these local ids, each in its session, and whose they are."""
    asked = _unnested("asked", session="sessions", local_id="local_ids")
    return sa.select(messages.c.session_id, *queries.columns).select_from(
        asked.join(
            messages,
            sa.and_(messages.c.session_id == asked.c.session, messages.c.local_id == asked.c.local_id),
        )
    )


@only("postgresql")
def ADD_NUMBERED(insert: Any) -> Any:
    """Insert messages that have their numbers, move the sessions' counters there, and count for the accounts.

    Rows: account ids and their last update numbers.
    """
    drafts = _unnested(
        "drafts",
        id="ids",
        session="sessions",
        seq="seqs",
        local_id="local_ids",
        content="contents",
        now="nows",
    )
    moment = Millis().bind_expression(drafts.c.now)
    created = insert(messages).from_select(
        ["id", "session_id", "seq", "local_id", "content", "created_at", "updated_at"],
        sa.select(
            drafts.c.id,
            drafts.c.session,
            drafts.c.seq,
            drafts.c.local_id,
            sa.cast(drafts.c.content, JSONB),
            moment,
            moment,
        ),
    )
    reached = _unnested("reached", session="reached_sessions", seq="reached_seqs", now="reached_at")
    moved = (
        sa.update(sessions)
        .where(sessions.c.id == reached.c.session)
        .values(seq=reached.c.seq, updated_at=Millis().bind_expression(reached.c.now))
    )
    counts = _unnested("counts", account="accounts", count="counts", now="counted_at")
    locked = (
        sa.select(accounts.c.id, counts.c.count, counts.c.now)
        .select_from(accounts.join(counts, accounts.c.id == counts.c.account))
        .order_by(accounts.c.id)
        .with_for_update(key_share=True, of=accounts)
        .subquery("locked")
    )
    return (
        sa.update(accounts)
        .where(accounts.c.id == locked.c.id)
        .values(seq=accounts.c.seq + locked.c.count, updated_at=Millis().bind_expression(locked.c.now))
        .returning(accounts.c.id, accounts.c.seq)
        .add_cte(created.cte("created"), moved.cte("moved"))
    )


_ARRAYS = {"seq": sa.Integer, "count": sa.Integer, "now": sa.BigInteger}


def _unnested(name: str, **arrays: str) -> Any:
    """Array parameters as the columns of a table."""
    return (
        sa.func.unnest(
            *(
                sa.cast(param(parameter), ARRAY(_ARRAYS.get(column, sa.Text)))
                for column, parameter in arrays.items()
            )
        )
        .table_valued(*(sa.column(column, _ARRAYS.get(column, sa.Text)) for column in arrays))
        .render_derived(name=name)
    )
