"""Indexes to find a push token, or a profile picture that was fetched before, whatever account it belongs to.

They are ours alone: the prefix keeps them clear of the names that other servers give to theirs.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

INDEXES = [("AccountPushToken", "token"), ("UploadedFile", "reuseKey")]


def upgrade() -> None:
    for table, column in INDEXES:
        op.create_index(f"happy_{table}_{column}_idx", table, [column])


def downgrade() -> None:
    for table, column in INDEXES:
        op.drop_index(f"happy_{table}_{column}_idx", table)
