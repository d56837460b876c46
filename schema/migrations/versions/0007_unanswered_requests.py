"""Indexes on the linking requests that nobody answered, to forget them in small batches.

They are ours alone: the prefix keeps them clear of the names that other servers give to theirs.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

TABLES = ("TerminalAuthRequest", "AccountAuthRequest")
UNANSWERED = sa.text("response IS NULL OR response = ''")


def upgrade() -> None:
    for table in TABLES:
        op.create_index(
            f"happy_{table}_unanswered_idx",
            table,
            ["updatedAt"],
            sqlite_where=UNANSWERED,
            postgresql_where=UNANSWERED,
        )


def downgrade() -> None:
    for table in TABLES:
        op.drop_index(f"happy_{table}_unanswered_idx", table)
