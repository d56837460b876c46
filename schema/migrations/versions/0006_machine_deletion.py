"""The moment at which a machine was deleted, kept until its access keys are removed in small batches."""

import sqlalchemy as sa
from alembic import op

from schema import online
from schema.effects import Effect, Seconds
from schema.types import Millis

revision = "0006"
down_revision = "0005"

effect = Effect(
    does="a column of machines and its index: time of deletion",
    oldest="0001",
    tables=("Machine",),
    waits="a moment",
    seconds=Seconds(postgresql=3, sqlite=2),
)


def upgrade() -> None:
    online.add_column("Machine", sa.Column("happy_deletedAt", Millis))
    online.create_index("happy_Machine_deletedAt_idx", '"Machine" ("happy_deletedAt")')


def downgrade() -> None:
    op.drop_index("happy_Machine_deletedAt_idx", "Machine")
    op.drop_column("Machine", "happy_deletedAt")
