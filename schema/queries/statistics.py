"""Row counts for metrics."""

import sqlalchemy as sa

from schema.expressions import RowCount
from schema.queries.deletions import DELETED_OWNER
from schema.tables import accounts, machines, session_messages, sessions

_owner_of_deleted = sa.select(sa.func.count()).where(accounts.c.id == DELETED_OWNER).scalar_subquery()

ROWS = sa.select(
    (RowCount(accounts) - _owner_of_deleted).label("accounts"),
    RowCount(sessions).label("sessions"),
    RowCount(session_messages).label("messages"),
    RowCount(machines).label("machines"),
)
