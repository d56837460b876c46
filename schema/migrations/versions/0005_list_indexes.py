"""Indexes in the order of lists, so that no page of one costs in proportion to what is stored.

They are ours alone: the prefix keeps them clear of the names that other servers give to theirs. The tables are
those of accounts, sessions and what people keep, not of messages.
"""

from alembic import op

from schema import online
from schema.effects import Effect, Seconds

revision = "0005"
down_revision = "0004"

effect = Effect(
    does="8 indexes in the order of lists",
    oldest="0001",
    tables=("Account", "Session", "Machine", "UsageReport", "UserKVStore", "RepeatKey"),
    seconds=Seconds(postgresql=63, sqlite=41),
)

EVERYWHERE = [
    ("happy_Session_accountId_active_lastActiveAt_idx", '"Session" ("accountId", active, "lastActiveAt", id)'),
    ("happy_Machine_accountId_lastActiveAt_idx", '"Machine" ("accountId", "lastActiveAt")'),
    ("happy_UsageReport_accountId_createdAt_idx", '"UsageReport" ("accountId", "createdAt", id)'),
    ("happy_UsageReport_sessionId_createdAt_idx", '"UsageReport" ("sessionId", "createdAt", id)'),
    ("happy_RepeatKey_expiresAt_idx", '"RepeatKey" ("expiresAt")'),
]
KV = "happy_UserKVStore_accountId_key_idx"
SPELLED_DIFFERENTLY = {
    "postgresql": [
        ("happy_Account_username_idx", '"Account" (lower(username COLLATE "C"))'),
        ("happy_Session_accountId_id_idx", '"Session" ("accountId", id COLLATE "C")'),
        (KV, '"UserKVStore" ("accountId", key COLLATE "C") WHERE value IS NOT NULL'),
    ],
    "sqlite": [
        ("happy_Account_username_idx", '"Account" (username COLLATE NOCASE)'),
        ("happy_Session_accountId_id_idx", '"Session" ("accountId", id)'),
        (KV, '"UserKVStore" ("accountId", "key") WHERE value IS NOT NULL'),
    ],
}


def _indexes() -> list[tuple[str, str]]:
    return [*EVERYWHERE, *SPELLED_DIFFERENTLY[op.get_bind().dialect.name]]


def upgrade() -> None:
    for name, columns in _indexes():
        online.create_index(name, columns)


def downgrade() -> None:
    for name, _ in _indexes():
        op.execute(f'DROP INDEX "{name}"')
