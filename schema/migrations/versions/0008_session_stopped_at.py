"""When a session was stopped on purpose, by the server's clock: heartbeats that were received before do not revive it.

Empty for sessions that were stopped by an earlier release. The prefix keeps the name clear of columns that other
servers may add.
"""

import sqlalchemy as sa
from alembic import op

from schema import online
from schema.effects import Effect
from schema.types import Millis

revision = "0008"
down_revision = "0007"

effect = Effect(
    does="a column of sessions: time of the stop",
    oldest="0001",
    tables=("Session",),
    waits="a moment",
)


def upgrade() -> None:
    online.add_column("Session", sa.Column("happy_stoppedAt", Millis()))


def downgrade() -> None:
    op.drop_column("Session", "happy_stoppedAt")
