"""When a session was stopped on purpose, by the server's clock: heartbeats that were received before do not revive it.

Empty for sessions that were stopped by an earlier release. The prefix keeps the name clear of columns that other
servers may add.
"""

import sqlalchemy as sa
from alembic import op

from schema.types import Millis

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("Session", sa.Column("happy_stoppedAt", Millis()))


def downgrade() -> None:
    op.drop_column("Session", "happy_stoppedAt")
