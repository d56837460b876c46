"""What operators want to know of the database as a whole."""

import sqlalchemy as sa

from schema.constructs import RowCount
from schema.tables import accounts, machines, session_messages, sessions

ROWS = sa.select(
    RowCount(accounts).label("accounts"),
    RowCount(sessions).label("sessions"),
    RowCount(session_messages).label("messages"),
    RowCount(machines).label("machines"),
)
