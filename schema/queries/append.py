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
