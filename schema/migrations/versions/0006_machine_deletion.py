"""The moment at which a machine was deleted, kept until its access keys are removed in small batches."""

import sqlalchemy as sa
from alembic import op

from schema.types import Millis

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("Machine", sa.Column("happy_deletedAt", Millis))
    op.create_index("happy_Machine_deletedAt_idx", "Machine", ["happy_deletedAt"])


def downgrade() -> None:
    op.drop_index("happy_Machine_deletedAt_idx", "Machine")
    op.drop_column("Machine", "happy_deletedAt")
