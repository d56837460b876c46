"""When the answer of a linking request was handed out first, and an index to forget answered requests.

The column is empty for requests that an earlier release handed out. The prefix keeps the names clear of those
that other servers may add.
"""

import sqlalchemy as sa
from alembic import op

from schema.types import Millis

revision = "0011"
down_revision = "0010"

TABLES = ("TerminalAuthRequest", "AccountAuthRequest")
ANSWERED = sa.text("response > ''")


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("happy_pickedUpAt", Millis()))
        op.create_index(
            f"happy_{table}_answered_idx",
            table,
            ["updatedAt"],
            sqlite_where=ANSWERED,
            postgresql_where=ANSWERED,
        )


def downgrade() -> None:
    for table in TABLES:
        op.drop_index(f"happy_{table}_answered_idx", table)
        op.drop_column(table, "happy_pickedUpAt")
