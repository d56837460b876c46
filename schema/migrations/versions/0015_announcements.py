"""What commands have deleted, until a server has told the clients that are connected.

The table is ours; its prefix keeps the name clear of tables that other servers may add.
"""

import sqlalchemy as sa
from alembic import op

from schema.effects import Effect
from schema.types import Millis

revision = "0015"
down_revision = "0014"

effect = Effect(
    does="a table: what commands have deleted",
    oldest="0001",
)


def upgrade() -> None:
    op.create_table(
        "happy_Announcement",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("accountId", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("createdAt", Millis, nullable=False, server_default=sa.text("CURRENT_TIMESTAMP")),
        sa.PrimaryKeyConstraint("id", name="happy_Announcement_pkey"),
        sa.ForeignKeyConstraint(
            ["accountId"],
            ["Account.id"],
            name="happy_Announcement_accountId_fkey",
            ondelete="CASCADE",
            onupdate="CASCADE",
        ),
    )
    op.create_index("happy_Announcement_accountId_idx", "happy_Announcement", ["accountId"])


def downgrade() -> None:
    op.drop_table("happy_Announcement")
