"""Indexes for the sweep that finds sessions and machines gone silent.

They are ours alone: the prefix keeps them clear of the names that other servers give to theirs.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

COLUMNS = ["active", "lastActiveAt"]


def upgrade() -> None:
    for table in ("Session", "Machine"):
        op.create_index(f"happy_{table}_active_lastActiveAt_idx", table, COLUMNS)


def downgrade() -> None:
    for table in ("Session", "Machine"):
        op.drop_index(f"happy_{table}_active_lastActiveAt_idx", table)
