"""Indexes to find a push token, or a profile picture that was fetched before, whatever account it belongs to.

They are ours alone: the prefix keeps them clear of the names that other servers give to theirs.
"""

from alembic import op

from schema import online
from schema.effects import Effect, Seconds

revision = "0003"
down_revision = "0002"

effect = Effect(
    does="2 indexes: push tokens and profile pictures",
    oldest="0001",
    tables=("AccountPushToken", "UploadedFile"),
    seconds=Seconds(postgresql=13, sqlite=5),
)

INDEXES = [("AccountPushToken", "token"), ("UploadedFile", "reuseKey")]


def upgrade() -> None:
    for table, column in INDEXES:
        online.create_index(f"happy_{table}_{column}_idx", f'"{table}" ("{column}")')


def downgrade() -> None:
    for table, column in INDEXES:
        op.drop_index(f"happy_{table}_{column}_idx", table)
