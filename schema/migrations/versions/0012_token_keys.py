"""Which master secret a stored token was sealed with, so that it can be told without opening it.

Empty for tokens that an earlier release, or another server, stored. The prefix keeps the name clear of columns that
other servers may add.
"""

import sqlalchemy as sa
from alembic import op

from schema import online
from schema.effects import Effect

revision = "0012"
down_revision = "0011"

effect = Effect(
    does="a column of sealed tokens: the key they were sealed with",
    oldest="0001",
    tables=("ServiceAccountToken", "GithubUser"),
    waits="a moment",
)

TABLES = ("ServiceAccountToken", "GithubUser")


def upgrade() -> None:
    for table in TABLES:
        online.add_column(table, sa.Column("happy_tokenKey", sa.Text))


def downgrade() -> None:
    for table in TABLES:
        op.drop_column(table, "happy_tokenKey")
