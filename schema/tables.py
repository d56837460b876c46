"""Every table, once: PostgreSQL and SQLite both come from this module."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKeyConstraint, Index, Integer, Table, Text

from schema.columns import (
    by_bytes,
    by_time,
    created,
    ignoring_case,
    index,
    is_answered,
    is_unanswered,
    key,
    link,
    new_metadata,
    newest_first,
    optional,
    optional_link,
    owner,
    required,
    unique,
    updated,
)
from schema.types import Blob, Json, Millis, relationship_status

metadata = new_metadata()

# Accounts and authentication

github_users = Table(
    "GithubUser",
    metadata,
    key(),
    required("profile", Json),
    optional("token", Blob),
    created(),
    updated(),
    # Ours: the key id of the master secret that the token was sealed with.
    Column("happy_tokenKey", Text, key="token_key"),
)

accounts = Table(
    "Account",
    metadata,
    key(),
    required("publicKey"),
    required("seq", Integer, "0"),
    required("feedSeq", BigInteger, "0"),
    created(),
    updated(),
    optional("settings"),
    required("settingsVersion", Integer, "0"),
    optional_link("githubUserId", "GithubUser"),
    optional("firstName"),
    optional("lastName"),
    optional("username"),
    optional("avatar", Json),
    unique("public_key"),
    unique("github_user_id"),
    unique("username"),
    # Ours, for the search by prefix of the username.
    ignoring_case("happy_Account_username_idx", "username"),
)

terminal_auth_requests = Table(
    "TerminalAuthRequest",
    metadata,
    key(),
    required("publicKey"),
    required("supportsV2", Boolean, "false"),
    optional("response"),
    optional_link("responseAccountId", "Account"),
    created(),
    updated(),
    # Ours: when the answer was handed out first. Empty for those of earlier releases.
    Column("happy_pickedUpAt", Millis, key="picked_up_at"),
    unique("public_key"),
)

account_auth_requests = Table(
    "AccountAuthRequest",
    metadata,
    key(),
    required("publicKey"),
    optional("response"),
    optional_link("responseAccountId", "Account"),
    created(),
    updated(),
    # Ours: when the answer was handed out first. Empty for those of earlier releases.
    Column("happy_pickedUpAt", Millis, key="picked_up_at"),
    unique("public_key"),
)

# Ours, partial, for the sweeps that delete linking requests: unanswered ones sooner than answered ones.
for _table in (terminal_auth_requests, account_auth_requests):
    by_time(f"happy_{_table.name}_unanswered_idx", _table, is_unanswered(_table))
    by_time(f"happy_{_table.name}_answered_idx", _table, is_answered(_table))

push_tokens = Table(
    "AccountPushToken",
    metadata,
    key(),
    owner(),
    required("token"),
    created(),
    updated(),
    unique("account_id", "token"),
    # Ours, for a phone that signs in to another account: its token moves there.
    Index("happy_AccountPushToken_token_idx", "token"),
)

# Sessions, messages and usage reports

sessions = Table(
    "Session",
    metadata,
    key(),
    required("tag"),
    owner(),
    required("metadata"),
    required("metadataVersion", Integer, "0"),
    optional("agentState"),
    required("agentStateVersion", Integer, "0"),
    optional("dataEncryptionKey", Blob),
    required("seq", Integer, "0"),
    required("active", Boolean, "true"),
    required("lastActiveAt", Millis, "CURRENT_TIMESTAMP"),
    created(),
    updated(),
    # Ours: the creation time of the newest message, which the next one must exceed.
    Column("happy_lastMessageAt", Millis, key="last_message_at"),
    # Ours: when it was last stopped on purpose, by the server's clock. Earlier heartbeats do not revive it.
    Column("happy_stoppedAt", Millis, key="stopped_at"),
    # Ours: what was stored in it since quotas are set, in bytes, and how many attachments.
    Column("happy_storedBytes", BigInteger, key="stored_bytes"),
    Column("happy_attachments", Integer, key="attachments"),
    unique("account_id", "tag"),
    # Ours, for the sweep that ends silent sessions; the prefix keeps it clear of other servers' names.
    Index("happy_Session_active_lastActiveAt_idx", "active", "last_active_at"),
    # Ours, for the pages of an account's sessions, and for those that are active.
    by_bytes("happy_Session_accountId_id_idx", "account_id", "id"),
    Index("happy_Session_accountId_active_lastActiveAt_idx", "account_id", "active", "last_active_at", "id"),
)
newest_first(sessions, "account_id", "updated_at")

session_messages = Table(
    "SessionMessage",
    metadata,
    key(),
    link("sessionId", "Session", "RESTRICT"),
    optional("localId"),
    required("seq", Integer),
    required("content", Json),
    created(),
    updated(),
    unique("session_id", "local_id"),
    index("session_id", "seq"),
)

usage_reports = Table(
    "UsageReport",
    metadata,
    key(),
    required("key"),
    owner(),
    optional_link("sessionId", "Session"),
    required("data", Json),
    created(),
    updated(),
    unique("account_id", "session_id", "key"),
    index("account_id"),
    index("session_id"),
    # Ours, for sums over a period.
    Index("happy_UsageReport_accountId_createdAt_idx", "account_id", "created_at", "id"),
    Index("happy_UsageReport_sessionId_createdAt_idx", "session_id", "created_at", "id"),
)

# Machines and artifacts

machines = Table(
    "Machine",
    metadata,
    key(),
    owner(),
    required("metadata"),
    required("metadataVersion", Integer, "0"),
    optional("daemonState"),
    required("daemonStateVersion", Integer, "0"),
    optional("dataEncryptionKey", Blob),
    required("seq", Integer, "0"),
    required("active", Boolean, "true"),
    required("lastActiveAt", Millis, "CURRENT_TIMESTAMP"),
    created(),
    updated(),
    # Ours, from its deletion until its access keys are removed.
    Column("happy_deletedAt", Millis, key="deleted_at"),
    unique("account_id", "id"),
    index("account_id"),
    # Ours, for the sweep that marks silent machines offline.
    Index("happy_Machine_active_lastActiveAt_idx", "active", "last_active_at"),
    # Ours, for the list of an account's machines.
    Index("happy_Machine_accountId_lastActiveAt_idx", "account_id", "last_active_at"),
    Index("happy_Machine_deletedAt_idx", "deleted_at"),
)

access_keys = Table(
    "AccessKey",
    metadata,
    key(),
    owner(),
    required("machineId"),
    link("sessionId", "Session", "RESTRICT"),
    required("data"),
    required("dataVersion", Integer, "0"),
    created(),
    updated(),
    ForeignKeyConstraint(
        ["account_id", "machine_id"],
        ["Machine.account_id", "Machine.id"],
        ondelete="RESTRICT",
        onupdate="CASCADE",
    ),
    unique("account_id", "machine_id", "session_id"),
    index("account_id"),
    index("session_id"),
    index("machine_id"),
)

artifacts = Table(
    "Artifact",
    metadata,
    key(),
    owner(),
    required("header", Blob),
    required("headerVersion", Integer, "0"),
    required("body", Blob),
    required("bodyVersion", Integer, "0"),
    required("dataEncryptionKey", Blob),
    required("seq", Integer, "0"),
    created(),
    updated(),
    index("account_id"),
)
newest_first(artifacts, "account_id", "updated_at")

user_kv = Table(
    "UserKVStore",
    metadata,
    key(),
    owner(ondelete="CASCADE"),
    required("key"),
    optional("value", Blob),
    required("version", Integer, "0"),
    created(),
    updated(),
    unique("account_id", "key"),
    index("account_id"),
)
# Ours, partial, for the pages of an account's entries that are not deleted.
by_bytes(
    "happy_UserKVStore_accountId_key_idx",
    user_kv.c.account_id,
    user_kv.c.key,
    where=user_kv.c.value.is_not(None),
)

uploaded_files = Table(
    "UploadedFile",
    metadata,
    key(),
    owner(),
    required("path"),
    optional("width", Integer),
    optional("height", Integer),
    optional("thumbhash"),
    optional("reuseKey"),
    created(),
    updated(),
    unique("account_id", "path"),
    index("account_id"),
    # Ours, for the reuse of pictures that were fetched before.
    Index("happy_UploadedFile_reuseKey_idx", "reuse_key"),
)

# Friends and feed

user_relationships = Table(
    "UserRelationship",
    metadata,
    link("fromUserId", "Account", "CASCADE", primary_key=True),
    link("toUserId", "Account", "CASCADE", primary_key=True),
    required("status", relationship_status(), "'pending'"),
    created(),
    updated(),
    optional("acceptedAt", Millis),
    optional("lastNotifiedAt", Millis),
    index("to_user_id", "status"),
    index("from_user_id", "status"),
)

user_feed_items = Table(
    "UserFeedItem",
    metadata,
    key(),
    owner("userId", "CASCADE"),
    required("counter", BigInteger),
    optional("repeatKey"),
    required("body", Json),
    created(),
    updated(),
    unique("user_id", "counter"),
    unique("user_id", "repeat_key"),
)
newest_first(user_feed_items, "user_id", "counter")

# Services of other companies

service_account_tokens = Table(
    "ServiceAccountToken",
    metadata,
    key(),
    owner(ondelete="CASCADE"),
    required("vendor"),
    required("token", Blob),
    optional("metadata", Json),
    optional("lastUsedAt", Millis),
    created(),
    updated(),
    # Ours: the key id of the master secret that the token was sealed with.
    Column("happy_tokenKey", Text, key="token_key"),
    unique("account_id", "vendor"),
    index("account_id"),
)

voice_conversations = Table(
    "VoiceConversation",
    metadata,
    key(),
    owner(),
    required("elevenLabsConversationId"),
    optional("durationSecs", Integer),
    created(),
    unique("eleven_labs_conversation_id"),
)
newest_first(voice_conversations, "account_id", "created_at")

# Ours: what takes access away from tokens and accounts, and how tokens were used. No foreign key from the
# first: the row of a deleted account outlives it, for replicas that have not read it yet.

revocations = Table(
    "happy_Revocation",
    metadata,
    key(),
    required("accountId"),
    optional("tokenId"),
    optional("signedOutAt", Millis),
    optional("disabledAt", Millis),
    optional("deletedAt", Millis),
    required("changedAt", Millis),
    required("revision", BigInteger),
    Index("happy_Revocation_revision_idx", "revision"),
    Index("happy_Revocation_accountId_idx", "account_id"),
    Index("happy_Revocation_deletedAt_idx", "deleted_at"),
)

token_uses = Table(
    "happy_TokenUse",
    metadata,
    key(),
    owner(ondelete="CASCADE"),
    optional("issuedAt", Millis),
    required("device"),
    required("address"),
    required("firstSeenAt", Millis),
    required("lastSeenAt", Millis),
    Index("happy_TokenUse_accountId_lastSeenAt_idx", "account_id", "last_seen_at", "id"),
)

# Ours: what commands have deleted, until a server has told the clients that are connected.

announcements = Table(
    "happy_Announcement",
    metadata,
    key(),
    owner(ondelete="CASCADE"),
    required("kind"),
    required("target"),
    created(),
    index("account_id"),
)

# Part of the data model, but used by no request

github_organizations = Table(
    "GithubOrganization", metadata, key(), required("profile", Json), created(), updated()
)

global_locks = Table(
    "GlobalLock",
    metadata,
    key("key"),
    required("value"),
    created(),
    updated(),
    required("expiresAt", Millis),
)

repeat_keys = Table(
    "RepeatKey",
    metadata,
    key("key"),
    required("value"),
    created(),
    required("expiresAt", Millis),
    # Ours, for the deletion of expired rows.
    Index("happy_RepeatKey_expiresAt_idx", "expires_at"),
)

simple_caches = Table("SimpleCache", metadata, key("key"), required("value"), created(), updated())

# Ours: no other server of this protocol has these tables, and their prefix keeps them clear of others' names.

audit_entries = Table(
    "happy_AuditEntry",
    metadata,
    key(),
    created(),
    required("actor"),
    required("action"),
    required("subject"),
    required("detail"),
    Index("happy_AuditEntry_createdAt_idx", "created_at", "id"),
)

registration_requests = Table(
    "happy_RegistrationRequest",
    metadata,
    key("publicKey"),
    required("address"),
    required("status"),
    created(),
    updated(),
    index("address"),
    index("status", "updated_at"),
)

invites = Table(
    "happy_Invite",
    metadata,
    key(),
    required("codeHash"),
    required("uses", Integer),
    required("used", Integer, "0"),
    created(),
    required("expiresAt", Millis),
    unique("code_hash"),
    index("expires_at"),
)

invite_openings = Table(
    "happy_InviteOpening",
    metadata,
    link("inviteId", "happy_Invite", "CASCADE", primary_key=True),
    Column("address", Text, primary_key=True),
    created(),
    required("expiresAt", Millis),
    index("address"),
    index("expires_at"),
)

# One row for each target that servers back up to by themselves: who does it until when, and the last one.
backups = Table(
    "happy_Backup",
    metadata,
    key("target"),
    required("heldBy"),
    required("heldUntil", Millis),
    optional("madeAt", Millis),
    optional("name"),
    optional("bytes", BigInteger),
    optional("milliseconds", BigInteger),
)
