"""Backups that servers make by themselves: which replica does it, and the last one.

The table is ours alone: the prefix keeps it clear of the names that other servers may give to theirs.
"""

import sqlalchemy as sa
from alembic import op

from schema.effects import Effect
from schema.types import Millis

revision = "0016"
down_revision = "0015"

effect = Effect(
    does="a table: backups that servers make",
    oldest="0001",
)

TABLE = "happy_Backup"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("heldBy", sa.Text, nullable=False),
        sa.Column("heldUntil", Millis, nullable=False),
        sa.Column("madeAt", Millis),
        sa.Column("name", sa.Text),
        sa.Column("bytes", sa.BigInteger),
        sa.Column("milliseconds", sa.BigInteger),
        sa.PrimaryKeyConstraint("target", name=f"{TABLE}_pkey"),
    )


def downgrade() -> None:
    op.drop_table(TABLE)
