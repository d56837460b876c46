"""Indexes for the sweep that finds sessions and machines gone silent.

They are ours alone: the prefix keeps them clear of the names that other servers give to theirs.
"""

from alembic import op

from schema import online
from schema.effects import Effect, Seconds

revision = "0002"
down_revision = "0001"

effect = Effect(
    does="2 indexes: sessions and machines gone silent",
    oldest="0001",
    tables=("Session", "Machine"),
    seconds=Seconds(postgresql=11, sqlite=7),
)

COLUMNS = '("active", "lastActiveAt")'


def upgrade() -> None:
    for table in ("Session", "Machine"):
        online.create_index(f"happy_{table}_active_lastActiveAt_idx", f'"{table}" {COLUMNS}')


def downgrade() -> None:
    for table in ("Session", "Machine"):
        op.drop_index(f"happy_{table}_active_lastActiveAt_idx", table)
