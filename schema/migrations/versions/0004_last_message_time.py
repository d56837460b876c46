"""The creation time of a session's newest message, in the row that is locked to append the next one.

Empty until the first append after the migration, which looks at the messages instead. The prefix keeps the name
clear of columns that other servers may add.
"""

import sqlalchemy as sa
from alembic import op

from schema import online
from schema.effects import Effect
from schema.types import Millis

revision = "0004"
down_revision = "0003"

effect = Effect(
    does="a column of sessions: time of the newest message",
    oldest="0001",
    tables=("Session",),
    waits="a moment",
)


def upgrade() -> None:
    online.add_column("Session", sa.Column("happy_lastMessageAt", Millis()))


def downgrade() -> None:
    op.drop_column("Session", "happy_lastMessageAt")
