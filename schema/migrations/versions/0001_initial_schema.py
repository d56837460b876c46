"""The tables that databases of this protocol have.

One that another server created is checked against this revision, stamped with it and migrated onwards,
so what this file builds never changes. Keys get their names from the naming convention of the metadata.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from schema import types
from schema.effects import Effect

revision = "0001"
down_revision = None

effect = Effect(
    does="creates the tables of the protocol",
    oldest="0001",
)

BIGINT, BLOB, BOOL, INT = sa.BigInteger(), sa.LargeBinary(), sa.Boolean(), sa.Integer()
JSON, MILLIS, TEXT = types.Json(), types.Millis(), sa.Text()
STATUS = sa.Enum(
    "none", "requested", "pending", "friend", "rejected", name="RelationshipStatus"
).with_variant(sa.Text(), "sqlite")


def required(name: str, type_: Any = TEXT, default: str | None = None) -> sa.Column[Any]:
    server_default = None if default is None else sa.text(default)
    return sa.Column(name, type_, nullable=False, server_default=server_default)


def optional(name: str, type_: Any = TEXT) -> sa.Column[Any]:
    return sa.Column(name, type_, nullable=True)


def key(name: str = "id") -> sa.Column[Any]:
    return sa.Column(name, TEXT, primary_key=True)


def link(name: str, target: str, ondelete: str, **options: Any) -> sa.Column[Any]:
    reference = sa.ForeignKey(f"{target}.id", ondelete=ondelete, onupdate="CASCADE")
    return sa.Column(name, TEXT, reference, **{"nullable": False, **options})


def created() -> sa.Column[Any]:
    return required("createdAt", MILLIS, "CURRENT_TIMESTAMP")


def moments() -> list[sa.Column[Any]]:
    return [created(), required("updatedAt", MILLIS)]


def unique(table_name: str, *columns: str) -> None:
    op.create_index(f"{table_name}_{'_'.join(columns)}_key", table_name, list(columns), unique=True)


def index(table_name: str, *columns: str) -> None:
    op.create_index(f"{table_name}_{'_'.join(columns)}_idx", table_name, list(columns))


def newest_first(table_name: str, owner: str, sort: str) -> None:
    op.create_index(f"{table_name}_{owner}_{sort}_idx", table_name, [owner, sa.text(f'"{sort}" DESC')])


def upgrade() -> None:
    op.create_table(
        "GithubOrganization",
        key(),
        required("profile", JSON),
        *moments(),
    )
    op.create_table(
        "GithubUser",
        key(),
        required("profile", JSON),
        optional("token", BLOB),
        *moments(),
    )
    op.create_table(
        "GlobalLock",
        key("key"),
        required("value"),
        *moments(),
        required("expiresAt", MILLIS),
    )
    op.create_table(
        "RepeatKey",
        key("key"),
        required("value"),
        created(),
        required("expiresAt", MILLIS),
    )
    op.create_table(
        "SimpleCache",
        key("key"),
        required("value"),
        *moments(),
    )
    op.create_table(
        "Account",
        key(),
        required("publicKey"),
        required("seq", INT, "0"),
        required("feedSeq", BIGINT, "0"),
        *moments(),
        optional("settings"),
        required("settingsVersion", INT, "0"),
        link("githubUserId", "GithubUser", "SET NULL", nullable=True),
        optional("firstName"),
        optional("lastName"),
        optional("username"),
        optional("avatar", JSON),
    )
    unique("Account", "githubUserId")
    unique("Account", "publicKey")
    unique("Account", "username")
    op.create_table(
        "AccountAuthRequest",
        key(),
        required("publicKey"),
        optional("response"),
        link("responseAccountId", "Account", "SET NULL", nullable=True),
        *moments(),
    )
    unique("AccountAuthRequest", "publicKey")
    op.create_table(
        "AccountPushToken",
        key(),
        link("accountId", "Account", "RESTRICT"),
        required("token"),
        *moments(),
    )
    unique("AccountPushToken", "accountId", "token")
    op.create_table(
        "Artifact",
        key(),
        link("accountId", "Account", "RESTRICT"),
        required("header", BLOB),
        required("headerVersion", INT, "0"),
        required("body", BLOB),
        required("bodyVersion", INT, "0"),
        required("dataEncryptionKey", BLOB),
        required("seq", INT, "0"),
        *moments(),
    )
    index("Artifact", "accountId")
    newest_first("Artifact", "accountId", "updatedAt")
    op.create_table(
        "Machine",
        key(),
        link("accountId", "Account", "RESTRICT"),
        required("metadata"),
        required("metadataVersion", INT, "0"),
        optional("daemonState"),
        required("daemonStateVersion", INT, "0"),
        optional("dataEncryptionKey", BLOB),
        required("seq", INT, "0"),
        required("active", BOOL, "true"),
        required("lastActiveAt", MILLIS, "CURRENT_TIMESTAMP"),
        *moments(),
    )
    unique("Machine", "accountId", "id")
    index("Machine", "accountId")
    op.create_table(
        "ServiceAccountToken",
        key(),
        link("accountId", "Account", "CASCADE"),
        required("vendor"),
        required("token", BLOB),
        optional("metadata", JSON),
        optional("lastUsedAt", MILLIS),
        *moments(),
    )
    unique("ServiceAccountToken", "accountId", "vendor")
    index("ServiceAccountToken", "accountId")
    op.create_table(
        "Session",
        key(),
        required("tag"),
        link("accountId", "Account", "RESTRICT"),
        required("metadata"),
        required("metadataVersion", INT, "0"),
        optional("agentState"),
        required("agentStateVersion", INT, "0"),
        optional("dataEncryptionKey", BLOB),
        required("seq", INT, "0"),
        required("active", BOOL, "true"),
        required("lastActiveAt", MILLIS, "CURRENT_TIMESTAMP"),
        *moments(),
    )
    unique("Session", "accountId", "tag")
    newest_first("Session", "accountId", "updatedAt")
    op.create_table(
        "TerminalAuthRequest",
        key(),
        required("publicKey"),
        required("supportsV2", BOOL, "false"),
        optional("response"),
        link("responseAccountId", "Account", "SET NULL", nullable=True),
        *moments(),
    )
    unique("TerminalAuthRequest", "publicKey")
    op.create_table(
        "UploadedFile",
        key(),
        link("accountId", "Account", "RESTRICT"),
        required("path"),
        optional("width", INT),
        optional("height", INT),
        optional("thumbhash"),
        optional("reuseKey"),
        *moments(),
    )
    unique("UploadedFile", "accountId", "path")
    index("UploadedFile", "accountId")
    op.create_table(
        "UserFeedItem",
        key(),
        link("userId", "Account", "CASCADE"),
        required("counter", BIGINT),
        optional("repeatKey"),
        required("body", JSON),
        *moments(),
    )
    unique("UserFeedItem", "userId", "counter")
    unique("UserFeedItem", "userId", "repeatKey")
    newest_first("UserFeedItem", "userId", "counter")
    op.create_table(
        "UserKVStore",
        key(),
        link("accountId", "Account", "CASCADE"),
        required("key"),
        optional("value", BLOB),
        required("version", INT, "0"),
        *moments(),
    )
    unique("UserKVStore", "accountId", "key")
    index("UserKVStore", "accountId")
    op.create_table(
        "UserRelationship",
        link("fromUserId", "Account", "CASCADE", primary_key=True),
        link("toUserId", "Account", "CASCADE", primary_key=True),
        required("status", STATUS, "'pending'"),
        *moments(),
        optional("acceptedAt", MILLIS),
        optional("lastNotifiedAt", MILLIS),
    )
    index("UserRelationship", "fromUserId", "status")
    index("UserRelationship", "toUserId", "status")
    op.create_table(
        "VoiceConversation",
        key(),
        link("accountId", "Account", "RESTRICT"),
        required("elevenLabsConversationId"),
        optional("durationSecs", INT),
        created(),
    )
    unique("VoiceConversation", "elevenLabsConversationId")
    newest_first("VoiceConversation", "accountId", "createdAt")
    op.create_table(
        "AccessKey",
        key(),
        link("accountId", "Account", "RESTRICT"),
        required("machineId"),
        link("sessionId", "Session", "RESTRICT"),
        required("data"),
        required("dataVersion", INT, "0"),
        *moments(),
        sa.ForeignKeyConstraint(
            ["accountId", "machineId"],
            ["Machine.accountId", "Machine.id"],
            ondelete="RESTRICT",
            onupdate="CASCADE",
        ),
    )
    unique("AccessKey", "accountId", "machineId", "sessionId")
    index("AccessKey", "accountId")
    index("AccessKey", "machineId")
    index("AccessKey", "sessionId")
    op.create_table(
        "SessionMessage",
        key(),
        link("sessionId", "Session", "RESTRICT"),
        optional("localId"),
        required("seq", INT),
        required("content", JSON),
        *moments(),
    )
    unique("SessionMessage", "sessionId", "localId")
    index("SessionMessage", "sessionId", "seq")
    op.create_table(
        "UsageReport",
        key(),
        required("key"),
        link("accountId", "Account", "RESTRICT"),
        link("sessionId", "Session", "SET NULL", nullable=True),
        required("data", JSON),
        *moments(),
    )
    unique("UsageReport", "accountId", "sessionId", "key")
    index("UsageReport", "accountId")
    index("UsageReport", "sessionId")


def downgrade() -> None:
    # Children before their parents; other servers' bookkeeping stays.
    for name in (
        *(
            "UsageReport",
            "SessionMessage",
            "AccessKey",
            "VoiceConversation",
            "UserRelationship",
            "UserKVStore",
        ),
        *("UserFeedItem", "UploadedFile", "TerminalAuthRequest", "Session", "ServiceAccountToken", "Machine"),
        *("Artifact", "AccountPushToken", "AccountAuthRequest", "Account", "SimpleCache", "RepeatKey"),
        *("GlobalLock", "GithubUser", "GithubOrganization"),
    ):
        op.drop_table(name)
    if op.get_bind().dialect.name == "postgresql":
        op.execute('DROP TYPE "RelationshipStatus"')
