"""What the data model says about every table, in PostgreSQL's own words; tests compare databases with it.

protocol: data-model#tables

Columns: name, type, `!` for NOT NULL, `=` and the default. Keys: columns, target, ON DELETE.
"""

from typing import NamedTuple

TYPES = {
    "text": "text",
    "int": "integer",
    "bigint": "bigint",
    "bool": "boolean",
    "json": "jsonb",
    "bytes": "bytea",
    "ts": "timestamp(3) without time zone",
    "status": '"RelationshipStatus"',
}
DEFAULTS = {"now": "CURRENT_TIMESTAMP", "pending": "'pending'::\"RelationshipStatus\""}
MOMENTS = "createdAt ts! =now, updatedAt ts!"


class Expected(NamedTuple):
    columns: str
    unique: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    primary_key: str = "id"


DATA_MODEL = {
    "Account": Expected(
        f"id text!, publicKey text!, seq int! =0, feedSeq bigint! =0, {MOMENTS}, settings text,"
        " settingsVersion int! =0, githubUserId text, firstName text, lastName text, username text,"
        " avatar json",
        unique=("publicKey", "githubUserId", "username"),
        keys=("githubUserId -> GithubUser(id) SET NULL",),
    ),
    "TerminalAuthRequest": Expected(
        "id text!, publicKey text!, supportsV2 bool! =false, response text, responseAccountId text, "
        + MOMENTS,
        unique=("publicKey",),
        keys=("responseAccountId -> Account(id) SET NULL",),
    ),
    "AccountAuthRequest": Expected(
        "id text!, publicKey text!, response text, responseAccountId text, " + MOMENTS,
        unique=("publicKey",),
        keys=("responseAccountId -> Account(id) SET NULL",),
    ),
    "AccountPushToken": Expected(
        "id text!, accountId text!, token text!, " + MOMENTS,
        unique=("accountId, token",),
        keys=("accountId -> Account(id) RESTRICT",),
    ),
    "Session": Expected(
        "id text!, tag text!, accountId text!, metadata text!, metadataVersion int! =0, agentState text,"
        " agentStateVersion int! =0, dataEncryptionKey bytes, seq int! =0, active bool! =true,"
        f" lastActiveAt ts! =now, {MOMENTS}",
        unique=("accountId, tag",),
        indexes=("accountId, updatedAt DESC",),
        keys=("accountId -> Account(id) RESTRICT",),
    ),
    "SessionMessage": Expected(
        "id text!, sessionId text!, localId text, seq int!, content json!, " + MOMENTS,
        unique=("sessionId, localId",),
        indexes=("sessionId, seq",),
        keys=("sessionId -> Session(id) RESTRICT",),
    ),
    "GithubUser": Expected("id text!, profile json!, token bytes, " + MOMENTS),
    "GithubOrganization": Expected("id text!, profile json!, " + MOMENTS),
    "GlobalLock": Expected(f"key text!, value text!, {MOMENTS}, expiresAt ts!", primary_key="key"),
    "RepeatKey": Expected("key text!, value text!, createdAt ts! =now, expiresAt ts!", primary_key="key"),
    "SimpleCache": Expected("key text!, value text!, " + MOMENTS, primary_key="key"),
    "UsageReport": Expected(
        "id text!, key text!, accountId text!, sessionId text, data json!, " + MOMENTS,
        unique=("accountId, sessionId, key",),
        indexes=("accountId", "sessionId"),
        keys=("accountId -> Account(id) RESTRICT", "sessionId -> Session(id) SET NULL"),
    ),
    "Machine": Expected(
        "id text!, accountId text!, metadata text!, metadataVersion int! =0, daemonState text,"
        " daemonStateVersion int! =0, dataEncryptionKey bytes, seq int! =0, active bool! =true,"
        f" lastActiveAt ts! =now, {MOMENTS}",
        unique=("accountId, id",),
        indexes=("accountId",),
        keys=("accountId -> Account(id) RESTRICT",),
    ),
    "UploadedFile": Expected(
        "id text!, accountId text!, path text!, width int, height int, thumbhash text, reuseKey text, "
        + MOMENTS,
        unique=("accountId, path",),
        indexes=("accountId",),
        keys=("accountId -> Account(id) RESTRICT",),
    ),
    "ServiceAccountToken": Expected(
        f"id text!, accountId text!, vendor text!, token bytes!, metadata json, lastUsedAt ts, {MOMENTS}",
        unique=("accountId, vendor",),
        indexes=("accountId",),
        keys=("accountId -> Account(id) CASCADE",),
    ),
    "Artifact": Expected(
        "id text!, accountId text!, header bytes!, headerVersion int! =0, body bytes!, bodyVersion int! =0,"
        f" dataEncryptionKey bytes!, seq int! =0, {MOMENTS}",
        indexes=("accountId", "accountId, updatedAt DESC"),
        keys=("accountId -> Account(id) RESTRICT",),
    ),
    "AccessKey": Expected(
        "id text!, accountId text!, machineId text!, sessionId text!, data text!, dataVersion int! =0, "
        + MOMENTS,
        unique=("accountId, machineId, sessionId",),
        indexes=("accountId", "sessionId", "machineId"),
        keys=(
            "accountId -> Account(id) RESTRICT",
            "accountId, machineId -> Machine(accountId, id) RESTRICT",
            "sessionId -> Session(id) RESTRICT",
        ),
    ),
    "UserRelationship": Expected(
        f"fromUserId text!, toUserId text!, status status! =pending, {MOMENTS},"
        " acceptedAt ts, lastNotifiedAt ts",
        indexes=("toUserId, status", "fromUserId, status"),
        keys=("fromUserId -> Account(id) CASCADE", "toUserId -> Account(id) CASCADE"),
        primary_key="fromUserId, toUserId",
    ),
    "UserFeedItem": Expected(
        "id text!, userId text!, counter bigint!, repeatKey text, body json!, " + MOMENTS,
        unique=("userId, counter", "userId, repeatKey"),
        indexes=("userId, counter DESC",),
        keys=("userId -> Account(id) CASCADE",),
    ),
    "UserKVStore": Expected(
        "id text!, accountId text!, key text!, value bytes, version int! =0, " + MOMENTS,
        unique=("accountId, key",),
        indexes=("accountId",),
        keys=("accountId -> Account(id) CASCADE",),
    ),
    "VoiceConversation": Expected(
        "id text!, accountId text!, elevenLabsConversationId text!, durationSecs int, createdAt ts! =now",
        unique=("elevenLabsConversationId",),
        indexes=("accountId, createdAt DESC",),
        keys=("accountId -> Account(id) RESTRICT",),
    ),
}


def columns_of(table: str) -> list[tuple[str, str, bool, str | None]]:
    """Name, type, NOT NULL and default of each column."""
    found = []
    for column in DATA_MODEL[table].columns.split(", "):
        name, kind, *default = column.split(" ")
        value = default[0].removeprefix("=") if default else None
        found.append((name, TYPES[kind.rstrip("!")], kind.endswith("!"), DEFAULTS.get(value or "", value)))
    return found


def indexes_of(table: str) -> set[tuple[str, bool, str]]:
    """Name, uniqueness and columns of each index, the primary key's included."""
    expected = DATA_MODEL[table]
    found = {(f"{table}_pkey", True, expected.primary_key)}
    for unique, suffix, listed in ((True, "key", expected.unique), (False, "idx", expected.indexes)):
        for columns in listed:
            name = columns.replace(" DESC", "").replace(", ", "_")
            found.add((f"{table}_{name}_{suffix}", unique, columns))
    return found


def keys_of(table: str) -> set[tuple[str, str]]:
    """Name and definition of each foreign key."""
    found = set()
    for key in DATA_MODEL[table].keys:
        columns, target = key.split(" -> ")
        name, _, ondelete = target.partition(") ")
        found.add((f"{table}_{columns.replace(', ', '_')}_fkey", f"{columns} -> {name}) {ondelete}"))
    return found
