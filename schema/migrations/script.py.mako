"""${message}."""

import sqlalchemy as sa
from alembic import op

from schema import online
from schema.effects import Effect
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}

# What it does to a database in use, and the oldest revision whose code may go on with it: docs/development.md.
effect = Effect(does=${repr(message)}, oldest="0001", tables=())


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
