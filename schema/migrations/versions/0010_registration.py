"""Who may make an account: requests that wait for approval, invites, and the addresses that opened one.

The tables are ours alone: the prefix keeps them clear of the names that other servers may give to theirs.
"""

import sqlalchemy as sa
from alembic import op

from schema.effects import Effect
from schema.types import Millis

revision = "0010"
down_revision = "0009"

effect = Effect(
    does="3 tables: registration requests and invites",
    oldest="0001",
)

REQUESTS = "happy_RegistrationRequest"
INVITES = "happy_Invite"
OPENINGS = "happy_InviteOpening"
NOW = sa.text("CURRENT_TIMESTAMP")


def upgrade() -> None:
    op.create_table(
        REQUESTS,
        sa.Column("publicKey", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("createdAt", Millis, nullable=False, server_default=NOW),
        sa.Column("updatedAt", Millis, nullable=False),
        sa.PrimaryKeyConstraint("publicKey", name=f"{REQUESTS}_pkey"),
    )
    op.create_index(f"{REQUESTS}_address_idx", REQUESTS, ["address"])
    op.create_index(f"{REQUESTS}_status_updatedAt_idx", REQUESTS, ["status", "updatedAt"])
    op.create_table(
        INVITES,
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("codeHash", sa.Text, nullable=False),
        sa.Column("uses", sa.Integer, nullable=False),
        sa.Column("used", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("createdAt", Millis, nullable=False, server_default=NOW),
        sa.Column("expiresAt", Millis, nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"{INVITES}_pkey"),
    )
    op.create_index(f"{INVITES}_codeHash_key", INVITES, ["codeHash"], unique=True)
    op.create_index(f"{INVITES}_expiresAt_idx", INVITES, ["expiresAt"])
    op.create_table(
        OPENINGS,
        sa.Column("inviteId", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("createdAt", Millis, nullable=False, server_default=NOW),
        sa.Column("expiresAt", Millis, nullable=False),
        sa.PrimaryKeyConstraint("inviteId", "address", name=f"{OPENINGS}_pkey"),
        sa.ForeignKeyConstraint(
            ["inviteId"],
            [f"{INVITES}.id"],
            name=f"{OPENINGS}_inviteId_fkey",
            ondelete="CASCADE",
            onupdate="CASCADE",
        ),
    )
    op.create_index(f"{OPENINGS}_address_idx", OPENINGS, ["address"])
    op.create_index(f"{OPENINGS}_expiresAt_idx", OPENINGS, ["expiresAt"])


def downgrade() -> None:
    for table in (OPENINGS, INVITES, REQUESTS):
        op.drop_table(table)
