"""Indexes on the linking requests that nobody answered, to forget them in small batches.

They are ours alone: the prefix keeps them clear of the names that other servers give to theirs.
"""

from alembic import op

from schema import online
from schema.effects import Effect, Seconds

revision = "0007"
down_revision = "0006"

effect = Effect(
    does="2 indexes: unanswered linking requests",
    oldest="0001",
    tables=("TerminalAuthRequest", "AccountAuthRequest"),
    seconds=Seconds(postgresql=7, sqlite=4),
)

TABLES = ("TerminalAuthRequest", "AccountAuthRequest")
UNANSWERED = "response IS NULL OR response = ''"


def upgrade() -> None:
    for table in TABLES:
        online.create_index(
            f"happy_{table}_unanswered_idx", f'"{table}" ("updatedAt") WHERE {UNANSWERED}'
        )


def downgrade() -> None:
    for table in TABLES:
        op.drop_index(f"happy_{table}_unanswered_idx", table)
