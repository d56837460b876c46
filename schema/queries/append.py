"""Message append on PostgreSQL: one statement for a group of appends; SQLite takes several for each."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.sql.elements import Grouping

from schema.expressions import only
from schema.queries import messages as queries
from schema.tables import accounts, sessions
from schema.tables import session_messages as messages


@only("postgresql")
def APPEND(insert: Any) -> Any:
    """Number and store drafts of many sessions, skip known local ids and take update numbers, atomically.

    Rows: each requested session that belongs to its account, once per new message, with the message's update
    number; or once without a message. Each local id may occur only once in the parameters.

    Sessions are locked first, then accounts, each in the order of their ids, so that two such statements
    cannot deadlock.
    """
    requested = _unnested("requested", session="requested_sessions", account="requested_accounts")
    owned = (
        sa.select(sessions.c.id, sessions.c.account_id)
        .select_from(
            sessions.join(
                requested,
                sa.and_(sessions.c.id == requested.c.session, sessions.c.account_id == requested.c.account),
            )
        )
        .order_by(sessions.c.id)
        .with_for_update(key_share=True, of=sessions)
        .cte("owned")
    )
    fresh = _fresh(owned)
    taken = _taken(fresh)
    created = _created(insert, fresh, taken)
    numbered = _numbered(fresh, taken)
    return sa.select(
        owned.c.id.label("session_id"),
        owned.c.account_id,
        created.c.id,
        created.c.seq,
        (numbered.c.before + fresh.c.number_in_account).label("update_seq"),
        created.c.created_at,
    ).select_from(
        owned.outerjoin(fresh, fresh.c.session == owned.c.id)
        .outerjoin(created, created.c.id == fresh.c.id)
        .outerjoin(numbered, numbered.c.id == owned.c.account_id)
    )


def _fresh(owned: Any) -> Any:
    """Drafts that are not stored yet, numbered within their sessions and within their accounts.

    Without their contents, which may be large: each step below would copy them, beyond 4 MB to disk.
    """
    drafts = _unnested(
        "drafts",
        "position",
        id="ids",
        session="sessions",
        account="accounts",
        local_id="local_ids",
        now="nows",
    )
    known = sa.exists().where(
        messages.c.session_id == drafts.c.session, messages.c.local_id == drafts.c.local_id
    )
    return (
        sa.select(
            drafts.c.id,
            drafts.c.session,
            drafts.c.account,
            drafts.c.local_id,
            drafts.c.now,
            drafts.c.position,
            _number(drafts, drafts.c.session).label("number"),
            _number(drafts, drafts.c.account).label("number_in_account"),
        )
        .select_from(
            drafts.join(
                owned, sa.and_(owned.c.id == drafts.c.session, owned.c.account_id == drafts.c.account)
            )
        )
        .where(~known)
        .cte("fresh")
    )


def _number(drafts: Any, within: Any) -> Any:
    return sa.cast(sa.func.row_number().over(partition_by=within, order_by=drafts.c.position), sa.Integer)


def _taken(fresh: Any) -> Any:
    """Advance the sessions' message numbers; returns the numbers and times before that."""
    counts = _counts(fresh, fresh.c.session).subquery("counts")
    return (
        sa.update(sessions)
        .where(sessions.c.id == counts.c.key)
        .values(
            seq=sessions.c.seq + counts.c.count,
            updated_at=queries.moment(counts.c.now),
            last_message_at=queries.moment(queries.newest_time(counts.c.now, counts.c.count)),
        )
        .returning(
            sessions.c.id,
            (sessions.c.seq - counts.c.count).label("before"),
            (queries.in_ms(sessions.c.last_message_at) - counts.c.count).label("time_before"),
        )
        .cte("taken")
    )


def _created(insert: Any, fresh: Any, taken: Any) -> Any:
    created_at = queries.moment(taken.c.time_before + fresh.c.number)
    contents = Grouping(sa.cast(sa.bindparam("contents"), ARRAY(sa.Text)))
    rows = sa.select(
        fresh.c.id,
        fresh.c.session,
        taken.c.before + fresh.c.number,
        fresh.c.local_id,
        sa.cast(contents[fresh.c.position], JSONB),
        created_at,
        created_at,
    ).select_from(fresh.join(taken, taken.c.id == fresh.c.session))
    columns = ["id", "session_id", "seq", "local_id", "content", "created_at", "updated_at"]
    stored = [messages.c.id, messages.c.seq, messages.c.created_at]
    return insert(messages).from_select(columns, rows).returning(*stored).cte("created")


def _numbered(fresh: Any, taken: Any) -> Any:
    """Advance the accounts' update numbers, after their sessions; returns the numbers before that."""
    stored = fresh.join(taken, taken.c.id == fresh.c.session)
    counts = _counts(fresh, fresh.c.account).select_from(stored).subquery("counted")
    locked = (
        sa.select(accounts.c.id, counts.c.count, counts.c.now)
        .select_from(accounts.join(counts, accounts.c.id == counts.c.key))
        .order_by(accounts.c.id)
        .with_for_update(key_share=True, of=accounts)
        .subquery("locked")
    )
    return (
        sa.update(accounts)
        .where(accounts.c.id == locked.c.id)
        .values(seq=accounts.c.seq + locked.c.count, updated_at=queries.moment(locked.c.now))
        .returning(accounts.c.id, (accounts.c.seq - locked.c.count).label("before"))
        .cte("numbered")
    )


def _counts(fresh: Any, key: Any) -> Any:
    count = sa.cast(sa.func.count(), sa.Integer).label("count")
    return sa.select(key.label("key"), count, sa.func.max(fresh.c.now).label("now")).group_by(key)


@only("postgresql")
def STORED(insert: Any) -> Any:  # noqa: ARG001 - the signature of every query function
    """The messages with these local ids, each with its session."""
    requested = _unnested("requested", session="sessions", local_id="local_ids")
    return sa.select(messages.c.session_id, *queries.columns).select_from(
        requested.join(
            messages,
            sa.and_(
                messages.c.session_id == requested.c.session, messages.c.local_id == requested.c.local_id
            ),
        )
    )


def _unnested(name: str, position: str | None = None, **arrays: str) -> Any:
    """Array parameters as columns of a table; `position` names a column with the index into the arrays."""
    types = {column: sa.BigInteger if column == "now" else sa.Text for column in arrays}
    casts = [sa.cast(sa.bindparam(arrays[column]), ARRAY(kind)) for column, kind in types.items()]
    columns = [sa.column(column, kind) for column, kind in types.items()]
    return sa.func.unnest(*casts).table_valued(*columns, with_ordinality=position).render_derived(name=name)
