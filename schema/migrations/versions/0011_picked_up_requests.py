"""When the answer of a linking request was handed out first, and an index to forget answered requests.

The column is empty for requests that an earlier release handed out. The prefix keeps the names clear of those
that other servers may add.
"""

import sqlalchemy as sa
from alembic import op

from schema import online
from schema.effects import Effect, Seconds
from schema.types import Millis

revision = "0011"
down_revision = "0010"

effect = Effect(
    does="a column of linking requests and 2 indexes: answers handed out",
    oldest="0001",
    tables=("TerminalAuthRequest", "AccountAuthRequest"),
    waits="a moment",
    seconds=Seconds(postgresql=4, sqlite=3),
)

TABLES = ("TerminalAuthRequest", "AccountAuthRequest")
ANSWERED = "response > ''"


def upgrade() -> None:
    for table in TABLES:
        online.add_column(table, sa.Column("happy_pickedUpAt", Millis()))
    for table in TABLES:
        online.create_index(f"happy_{table}_answered_idx", f'"{table}" ("updatedAt") WHERE {ANSWERED}')


def downgrade() -> None:
    for table in TABLES:
        op.drop_index(f"happy_{table}_answered_idx", table)
        op.drop_column(table, "happy_pickedUpAt")
