"""What is stored in a session, for quotas: counted from when they are set on, empty before.

The prefix keeps the names clear of columns that other servers may add.
"""

import sqlalchemy as sa
from alembic import op

from schema import online
from schema.effects import Effect

revision = "0014"
down_revision = "0013"

effect = Effect(
    does="2 columns of sessions: what is stored in them",
    oldest="0001",
    tables=("Session",),
    waits="a moment",
)

TABLE = "Session"


def upgrade() -> None:
    online.add_column(TABLE, sa.Column("happy_storedBytes", sa.BigInteger))
    online.add_column(TABLE, sa.Column("happy_attachments", sa.Integer))


def downgrade() -> None:
    op.drop_column(TABLE, "happy_attachments")
    op.drop_column(TABLE, "happy_storedBytes")
