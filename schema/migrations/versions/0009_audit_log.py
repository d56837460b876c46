"""The audit log: administrative acts and revocations.

The table is ours alone: the prefix keeps it clear of the names that other servers may give to theirs.
"""

import sqlalchemy as sa
from alembic import op

from schema.effects import Effect
from schema.types import Millis

revision = "0009"
down_revision = "0008"

effect = Effect(
    does="a table: the audit log",
    oldest="0001",
)

TABLE = "happy_AuditEntry"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("createdAt", Millis, nullable=False, server_default=sa.text("CURRENT_TIMESTAMP")),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"{TABLE}_pkey"),
    )
    op.create_index(f"{TABLE}_createdAt_idx", TABLE, ["createdAt", "id"])


def downgrade() -> None:
    op.drop_table(TABLE)
