"""Row counts and sizes, for metrics and the operator."""

import sqlalchemy as sa
from sqlalchemy import bindparam as param

from schema.expressions import RowCount
from schema.queries.deletions import DELETED_OWNER
from schema.sizes import DatabaseBytes, RowBytes, TableBytes
from schema.tables import accounts, machines, metadata, session_messages, sessions

_owner_of_deleted = sa.select(sa.func.count()).where(accounts.c.id == DELETED_OWNER).scalar_subquery()

ROWS = sa.select(
    (RowCount(accounts) - _owner_of_deleted).label("accounts"),
    RowCount(sessions).label("sessions"),
    RowCount(session_messages).label("messages"),
    RowCount(machines).label("machines"),
)

TABLES = sa.union_all(
    *(
        sa.select(
            sa.literal_column(f"'{table.name}'", sa.Text).label("table"),
            RowCount(table).label("rows"),
            TableBytes(table).label("bytes"),
            RowBytes(table).label("row_bytes"),
        )
        for table in metadata.sorted_tables
    )
)

DATABASE = sa.select(DatabaseBytes())


def _active(table: sa.Table) -> sa.ScalarSelect[int]:
    return sa.select(sa.func.count()).where(table.c.active == sa.true()).scalar_subquery()


ACTIVE = sa.select(_active(sessions).label("sessions"), _active(machines).label("machines"))

# Ids begin with the time at which they were made: the primary key answers.
_between = (
    sa.select(session_messages.c.id)
    .where(
        session_messages.c.id >= param("first", type_=sa.Text),
        session_messages.c.id < param("end", type_=sa.Text),
    )
    .limit(param("limit", type_=sa.Integer))
    .subquery("some")
)
MESSAGES_BETWEEN = sa.select(sa.func.count()).select_from(_between)

_messages = sa.cast(sa.func.sum(sessions.c.seq), sa.BigInteger).label("messages")
_stored = sa.func.coalesce(sa.func.sum(sessions.c.stored_bytes), sa.literal_column("0"))
LARGEST_ACCOUNTS = (
    sa.select(
        sessions.c.account_id,
        sa.func.count().label("sessions"),
        _messages,
        sa.cast(_stored, sa.BigInteger).label("stored_bytes"),
    )
    .where(sessions.c.account_id != DELETED_OWNER)
    .group_by(sessions.c.account_id)
    .order_by(_messages.desc(), sessions.c.account_id)
    .limit(param("limit", type_=sa.Integer))
)
