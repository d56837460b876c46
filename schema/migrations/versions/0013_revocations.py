"""Revoked tokens, accounts that are signed out, disabled or deleted, and how tokens were used.

Both tables are ours; their prefix keeps the names clear of tables that other servers may add.
"""

import sqlalchemy as sa
from alembic import op

from schema.effects import Effect
from schema.types import Millis

revision = "0013"
down_revision = "0012"

effect = Effect(
    does="2 tables: revocations, and the use of tokens",
    oldest="0013",  # an earlier release would accept revoked tokens
)


def upgrade() -> None:
    op.create_table(
        "happy_Revocation",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("accountId", sa.Text, nullable=False),
        sa.Column("tokenId", sa.Text),
        sa.Column("signedOutAt", Millis),
        sa.Column("disabledAt", Millis),
        sa.Column("deletedAt", Millis),
        sa.Column("changedAt", Millis, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="happy_Revocation_pkey"),
    )
    op.create_index("happy_Revocation_revision_idx", "happy_Revocation", ["revision"])
    op.create_index("happy_Revocation_accountId_idx", "happy_Revocation", ["accountId"])
    op.create_index("happy_Revocation_deletedAt_idx", "happy_Revocation", ["deletedAt"])
    op.create_table(
        "happy_TokenUse",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("accountId", sa.Text, nullable=False),
        sa.Column("issuedAt", Millis),
        sa.Column("device", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("firstSeenAt", Millis, nullable=False),
        sa.Column("lastSeenAt", Millis, nullable=False),
        sa.PrimaryKeyConstraint("id", name="happy_TokenUse_pkey"),
        sa.ForeignKeyConstraint(
            ["accountId"],
            ["Account.id"],
            name="happy_TokenUse_accountId_fkey",
            ondelete="CASCADE",
            onupdate="CASCADE",
        ),
    )
    op.create_index(
        "happy_TokenUse_accountId_lastSeenAt_idx", "happy_TokenUse", ["accountId", "lastSeenAt", "id"]
    )


def downgrade() -> None:
    op.drop_table("happy_TokenUse")
    op.drop_table("happy_Revocation")
