-- Generated from schema/tables.py by `make schema`. Do not edit.

CREATE TABLE "GithubOrganization" (
	id TEXT NOT NULL,
	profile JSONB NOT NULL,
	"createdAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	"updatedAt" DATETIME NOT NULL,
	CONSTRAINT "GithubOrganization_pkey" PRIMARY KEY (id)
);

CREATE TABLE "GithubUser" (
	id TEXT NOT NULL,
	profile JSONB NOT NULL,
	token BLOB,
	"createdAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	"updatedAt" DATETIME NOT NULL,
	"happy_tokenKey" TEXT,
	CONSTRAINT "GithubUser_pkey" PRIMARY KEY (id)
);

CREATE TABLE "GlobalLock" (
	"key" TEXT NOT NULL,
	value TEXT NOT NULL,
	"createdAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	"updatedAt" DATETIME NOT NULL,
	"expiresAt" DATETIME NOT NULL,
	CONSTRAINT "GlobalLock_pkey" PRIMARY KEY ("key")
);

CREATE TABLE "RepeatKey" (
	"key" TEXT NOT NULL,
	value TEXT NOT NULL,
	"createdAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	"expiresAt" DATETIME NOT NULL,
	CONSTRAINT "RepeatKey_pkey" PRIMARY KEY ("key")
);
CREATE INDEX "happy_RepeatKey_expiresAt_idx" ON "RepeatKey" ("expiresAt");

CREATE TABLE "SimpleCache" (
	"key" TEXT NOT NULL,
	value TEXT NOT NULL,
	"createdAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	"updatedAt" DATETIME NOT NULL,
	CONSTRAINT "SimpleCache_pkey" PRIMARY KEY ("key")
);

CREATE TABLE "happy_AuditEntry" (
	id TEXT NOT NULL,
	"createdAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	actor TEXT NOT NULL,
	action TEXT NOT NULL,
	subject TEXT NOT NULL,
	detail TEXT NOT NULL,
	CONSTRAINT "happy_AuditEntry_pkey" PRIMARY KEY (id)
);
CREATE INDEX "happy_AuditEntry_createdAt_idx" ON "happy_AuditEntry" ("createdAt", id);

CREATE TABLE "happy_Backup" (
	target TEXT NOT NULL,
	"heldBy" TEXT NOT NULL,
	"heldUntil" DATETIME NOT NULL,
	"madeAt" DATETIME,
	name TEXT,
	bytes BIGINT,
	milliseconds BIGINT,
	CONSTRAINT "happy_Backup_pkey" PRIMARY KEY (target)
);

CREATE TABLE "happy_Invite" (
	id TEXT NOT NULL,
	"codeHash" TEXT NOT NULL,
	uses INTEGER NOT NULL,
	used INTEGER DEFAULT 0 NOT NULL,
	"createdAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	"expiresAt" DATETIME NOT NULL,
	CONSTRAINT "happy_Invite_pkey" PRIMARY KEY (id)
);
CREATE UNIQUE INDEX "happy_Invite_codeHash_key" ON "happy_Invite" ("codeHash");
CREATE INDEX "happy_Invite_expiresAt_idx" ON "happy_Invite" ("expiresAt");

CREATE TABLE "happy_RegistrationRequest" (
	"publicKey" TEXT NOT NULL,
	address TEXT NOT NULL,
	status TEXT NOT NULL,
	"createdAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	"updatedAt" DATETIME NOT NULL,
	CONSTRAINT "happy_RegistrationRequest_pkey" PRIMARY KEY ("publicKey")
);
CREATE INDEX "happy_RegistrationRequest_address_idx" ON "happy_RegistrationRequest" (address);
CREATE INDEX "happy_RegistrationRequest_status_updatedAt_idx" ON "happy_RegistrationRequest" (status, "updatedAt");

CREATE TABLE "happy_Revocation" (
	id TEXT NOT NULL,
	"accountId" TEXT NOT NULL,
	"tokenId" TEXT,
	"signedOutAt" DATETIME,
	"disabledAt" DATETIME,
	"deletedAt" DATETIME,
	"changedAt" DATETIME NOT NULL,
	revision BIGINT NOT NULL,
	CONSTRAINT "happy_Revocation_pkey" PRIMARY KEY (id)
);
CREATE INDEX "happy_Revocation_accountId_idx" ON "happy_Revocation" ("accountId");
CREATE INDEX "happy_Revocation_deletedAt_idx" ON "happy_Revocation" ("deletedAt");
CREATE INDEX "happy_Revocation_revision_idx" ON "happy_Revocation" (revision);

CREATE TABLE "Account" (
	id TEXT NOT NULL,
	"publicKey" TEXT NOT NULL,
	seq INTEGER DEFAULT 0 NOT NULL,
	"feedSeq" BIGINT DEFAULT 0 NOT NULL,
	"createdAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	"updatedAt" DATETIME NOT NULL,
	settings TEXT,
	"settingsVersion" INTEGER DEFAULT 0 NOT NULL,
	"githubUserId" TEXT,
	"firstName" TEXT,
	"lastName" TEXT,
	username TEXT,
	avatar JSONB,
	CONSTRAINT "Account_pkey" PRIMARY KEY (id),
	CONSTRAINT "Account_githubUserId_fkey" FOREIGN KEY("githubUserId") REFERENCES "GithubUser" (id) ON DELETE SET NULL ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "Account_githubUserId_key" ON "Account" ("githubUserId");
CREATE UNIQUE INDEX "Account_publicKey_key" ON "Account" ("publicKey");
CREATE UNIQUE INDEX "Account_username_key" ON "Account" (username);
CREATE INDEX "happy_Account_username_idx" ON "Account" (username COLLATE NOCASE);

CREATE TABLE "happy_InviteOpening" (
	"inviteId" TEXT NOT NULL,
	address TEXT NOT NULL,
	"createdAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	"expiresAt" DATETIME NOT NULL,
	CONSTRAINT "happy_InviteOpening_pkey" PRIMARY KEY ("inviteId", address),
	CONSTRAINT "happy_InviteOpening_inviteId_fkey" FOREIGN KEY("inviteId") REFERENCES "happy_Invite" (id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX "happy_InviteOpening_address_idx" ON "happy_InviteOpening" (address);
CREATE INDEX "happy_InviteOpening_expiresAt_idx" ON "happy_InviteOpening" ("expiresAt");

CREATE TABLE "AccountAuthRequest" (
	id TEXT NOT NULL,
	"publicKey" TEXT NOT NULL,
	response TEXT,
	"responseAccountId" TEXT,
	"createdAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	"updatedAt" DATETIME NOT NULL,
	"happy_pickedUpAt" DATETIME,
	CONSTRAINT "AccountAuthRequest_pkey" PRIMARY KEY (id),
	CONSTRAINT "AccountAuthRequest_responseAccountId_fkey" FOREIGN KEY("responseAccountId") REFERENCES "Account" (id) ON DELETE SET NULL ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "AccountAuthRequest_publicKey_key" ON "AccountAuthRequest" ("publicKey");
CREATE INDEX "happy_AccountAuthRequest_answered_idx" ON "AccountAuthRequest" ("updatedAt") WHERE response > '';
CREATE INDEX "happy_AccountAuthRequest_unanswered_idx" ON "AccountAuthRequest" ("updatedAt") WHERE response IS NULL OR response = '';

CREATE TABLE "AccountPushToken" (
	id TEXT NOT NULL,
	"accountId" TEXT NOT NULL,
	token TEXT NOT NULL,
	"createdAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	"updatedAt" DATETIME NOT NULL,
	CONSTRAINT "AccountPushToken_pkey" PRIMARY KEY (id),
	CONSTRAINT "AccountPushToken_accountId_fkey" FOREIGN KEY("accountId") REFERENCES "Account" (id) ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "AccountPushToken_accountId_token_key" ON "AccountPushToken" ("accountId", token);
CREATE INDEX "happy_AccountPushToken_token_idx" ON "AccountPushToken" (token);

CREATE TABLE "Artifact" (
	id TEXT NOT NULL,
	"accountId" TEXT NOT NULL,
	header BLOB NOT NULL,
	"headerVersion" INTEGER DEFAULT 0 NOT NULL,
	body BLOB NOT NULL,
	"bodyVersion" INTEGER DEFAULT 0 NOT NULL,
	"dataEncryptionKey" BLOB NOT NULL,
	seq INTEGER DEFAULT 0 NOT NULL,
	"createdAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	"updatedAt" DATETIME NOT NULL,
	CONSTRAINT "Artifact_pkey" PRIMARY KEY (id),
	CONSTRAINT "Artifact_accountId_fkey" FOREIGN KEY("accountId") REFERENCES "Account" (id) ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE INDEX "Artifact_accountId_idx" ON "Artifact" ("accountId");
CREATE INDEX "Artifact_accountId_updatedAt_idx" ON "Artifact" ("accountId", "updatedAt");

CREATE TABLE "Machine" (
	id TEXT NOT NULL,
	"accountId" TEXT NOT NULL,
	metadata TEXT NOT NULL,
	"metadataVersion" INTEGER DEFAULT 0 NOT NULL,
	"daemonState" TEXT,
	"daemonStateVersion" INTEGER DEFAULT 0 NOT NULL,
	"dataEncryptionKey" BLOB,
	seq INTEGER DEFAULT 0 NOT NULL,
	active BOOLEAN DEFAULT true NOT NULL,
	"lastActiveAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	"createdAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	"updatedAt" DATETIME NOT NULL,
	"happy_deletedAt" DATETIME,
	CONSTRAINT "Machine_pkey" PRIMARY KEY (id),
	CONSTRAINT "Machine_accountId_fkey" FOREIGN KEY("accountId") REFERENCES "Account" (id) ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "Machine_accountId_id_key" ON "Machine" ("accountId", id);
CREATE INDEX "Machine_accountId_idx" ON "Machine" ("accountId");
CREATE INDEX "happy_Machine_accountId_lastActiveAt_idx" ON "Machine" ("accountId", "lastActiveAt");
CREATE INDEX "happy_Machine_active_lastActiveAt_idx" ON "Machine" (active, "lastActiveAt");
CREATE INDEX "happy_Machine_deletedAt_idx" ON "Machine" ("happy_deletedAt");

CREATE TABLE "ServiceAccountToken" (
	id TEXT NOT NULL,
	"accountId" TEXT NOT NULL,
	vendor TEXT NOT NULL,
	token BLOB NOT NULL,
	metadata JSONB,
	"lastUsedAt" DATETIME,
	"createdAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	"updatedAt" DATETIME NOT NULL,
	"happy_tokenKey" TEXT,
	CONSTRAINT "ServiceAccountToken_pkey" PRIMARY KEY (id),
	CONSTRAINT "ServiceAccountToken_accountId_fkey" FOREIGN KEY("accountId") REFERENCES "Account" (id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX "ServiceAccountToken_accountId_idx" ON "ServiceAccountToken" ("accountId");
CREATE UNIQUE INDEX "ServiceAccountToken_accountId_vendor_key" ON "ServiceAccountToken" ("accountId", vendor);

CREATE TABLE "Session" (
	id TEXT NOT NULL,
	tag TEXT NOT NULL,
	"accountId" TEXT NOT NULL,
	metadata TEXT NOT NULL,
	"metadataVersion" INTEGER DEFAULT 0 NOT NULL,
	"agentState" TEXT,
	"agentStateVersion" INTEGER DEFAULT 0 NOT NULL,
	"dataEncryptionKey" BLOB,
	seq INTEGER DEFAULT 0 NOT NULL,
	active BOOLEAN DEFAULT true NOT NULL,
	"lastActiveAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	"createdAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	"updatedAt" DATETIME NOT NULL,
	"happy_lastMessageAt" DATETIME,
	"happy_stoppedAt" DATETIME,
	"happy_storedBytes" BIGINT,
	happy_attachments INTEGER,
	CONSTRAINT "Session_pkey" PRIMARY KEY (id),
	CONSTRAINT "Session_accountId_fkey" FOREIGN KEY("accountId") REFERENCES "Account" (id) ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "Session_accountId_tag_key" ON "Session" ("accountId", tag);
CREATE INDEX "Session_accountId_updatedAt_idx" ON "Session" ("accountId", "updatedAt");
CREATE INDEX "happy_Session_accountId_active_lastActiveAt_idx" ON "Session" ("accountId", active, "lastActiveAt", id);
CREATE INDEX "happy_Session_accountId_id_idx" ON "Session" ("accountId", id);
CREATE INDEX "happy_Session_active_lastActiveAt_idx" ON "Session" (active, "lastActiveAt");

CREATE TABLE "TerminalAuthRequest" (
	id TEXT NOT NULL,
	"publicKey" TEXT NOT NULL,
	"supportsV2" BOOLEAN DEFAULT false NOT NULL,
	response TEXT,
	"responseAccountId" TEXT,
	"createdAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	"updatedAt" DATETIME NOT NULL,
	"happy_pickedUpAt" DATETIME,
	CONSTRAINT "TerminalAuthRequest_pkey" PRIMARY KEY (id),
	CONSTRAINT "TerminalAuthRequest_responseAccountId_fkey" FOREIGN KEY("responseAccountId") REFERENCES "Account" (id) ON DELETE SET NULL ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "TerminalAuthRequest_publicKey_key" ON "TerminalAuthRequest" ("publicKey");
CREATE INDEX "happy_TerminalAuthRequest_answered_idx" ON "TerminalAuthRequest" ("updatedAt") WHERE response > '';
CREATE INDEX "happy_TerminalAuthRequest_unanswered_idx" ON "TerminalAuthRequest" ("updatedAt") WHERE response IS NULL OR response = '';

CREATE TABLE "UploadedFile" (
	id TEXT NOT NULL,
	"accountId" TEXT NOT NULL,
	path TEXT NOT NULL,
	width INTEGER,
	height INTEGER,
	thumbhash TEXT,
	"reuseKey" TEXT,
	"createdAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	"updatedAt" DATETIME NOT NULL,
	CONSTRAINT "UploadedFile_pkey" PRIMARY KEY (id),
	CONSTRAINT "UploadedFile_accountId_fkey" FOREIGN KEY("accountId") REFERENCES "Account" (id) ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE INDEX "UploadedFile_accountId_idx" ON "UploadedFile" ("accountId");
CREATE UNIQUE INDEX "UploadedFile_accountId_path_key" ON "UploadedFile" ("accountId", path);
CREATE INDEX "happy_UploadedFile_reuseKey_idx" ON "UploadedFile" ("reuseKey");

CREATE TABLE "UserFeedItem" (
	id TEXT NOT NULL,
	"userId" TEXT NOT NULL,
	counter BIGINT NOT NULL,
	"repeatKey" TEXT,
	body JSONB NOT NULL,
	"createdAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	"updatedAt" DATETIME NOT NULL,
	CONSTRAINT "UserFeedItem_pkey" PRIMARY KEY (id),
	CONSTRAINT "UserFeedItem_userId_fkey" FOREIGN KEY("userId") REFERENCES "Account" (id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX "UserFeedItem_userId_counter_idx" ON "UserFeedItem" ("userId", counter);
CREATE UNIQUE INDEX "UserFeedItem_userId_counter_key" ON "UserFeedItem" ("userId", counter);
CREATE UNIQUE INDEX "UserFeedItem_userId_repeatKey_key" ON "UserFeedItem" ("userId", "repeatKey");

CREATE TABLE "UserKVStore" (
	id TEXT NOT NULL,
	"accountId" TEXT NOT NULL,
	"key" TEXT NOT NULL,
	value BLOB,
	version INTEGER DEFAULT 0 NOT NULL,
	"createdAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	"updatedAt" DATETIME NOT NULL,
	CONSTRAINT "UserKVStore_pkey" PRIMARY KEY (id),
	CONSTRAINT "UserKVStore_accountId_fkey" FOREIGN KEY("accountId") REFERENCES "Account" (id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX "UserKVStore_accountId_idx" ON "UserKVStore" ("accountId");
CREATE UNIQUE INDEX "UserKVStore_accountId_key_key" ON "UserKVStore" ("accountId", "key");
CREATE INDEX "happy_UserKVStore_accountId_key_idx" ON "UserKVStore" ("accountId", "key") WHERE value IS NOT NULL;

CREATE TABLE "UserRelationship" (
	"fromUserId" TEXT NOT NULL,
	"toUserId" TEXT NOT NULL,
	status TEXT DEFAULT 'pending' NOT NULL,
	"createdAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	"updatedAt" DATETIME NOT NULL,
	"acceptedAt" DATETIME,
	"lastNotifiedAt" DATETIME,
	CONSTRAINT "UserRelationship_pkey" PRIMARY KEY ("fromUserId", "toUserId"),
	CONSTRAINT "UserRelationship_fromUserId_fkey" FOREIGN KEY("fromUserId") REFERENCES "Account" (id) ON DELETE CASCADE ON UPDATE CASCADE,
	CONSTRAINT "UserRelationship_toUserId_fkey" FOREIGN KEY("toUserId") REFERENCES "Account" (id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX "UserRelationship_fromUserId_status_idx" ON "UserRelationship" ("fromUserId", status);
CREATE INDEX "UserRelationship_toUserId_status_idx" ON "UserRelationship" ("toUserId", status);

CREATE TABLE "VoiceConversation" (
	id TEXT NOT NULL,
	"accountId" TEXT NOT NULL,
	"elevenLabsConversationId" TEXT NOT NULL,
	"durationSecs" INTEGER,
	"createdAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	CONSTRAINT "VoiceConversation_pkey" PRIMARY KEY (id),
	CONSTRAINT "VoiceConversation_accountId_fkey" FOREIGN KEY("accountId") REFERENCES "Account" (id) ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE INDEX "VoiceConversation_accountId_createdAt_idx" ON "VoiceConversation" ("accountId", "createdAt");
CREATE UNIQUE INDEX "VoiceConversation_elevenLabsConversationId_key" ON "VoiceConversation" ("elevenLabsConversationId");

CREATE TABLE "happy_Announcement" (
	id TEXT NOT NULL,
	"accountId" TEXT NOT NULL,
	kind TEXT NOT NULL,
	target TEXT NOT NULL,
	"createdAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	CONSTRAINT "happy_Announcement_pkey" PRIMARY KEY (id),
	CONSTRAINT "happy_Announcement_accountId_fkey" FOREIGN KEY("accountId") REFERENCES "Account" (id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX "happy_Announcement_accountId_idx" ON "happy_Announcement" ("accountId");

CREATE TABLE "happy_TokenUse" (
	id TEXT NOT NULL,
	"accountId" TEXT NOT NULL,
	"issuedAt" DATETIME,
	device TEXT NOT NULL,
	address TEXT NOT NULL,
	"firstSeenAt" DATETIME NOT NULL,
	"lastSeenAt" DATETIME NOT NULL,
	CONSTRAINT "happy_TokenUse_pkey" PRIMARY KEY (id),
	CONSTRAINT "happy_TokenUse_accountId_fkey" FOREIGN KEY("accountId") REFERENCES "Account" (id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX "happy_TokenUse_accountId_lastSeenAt_idx" ON "happy_TokenUse" ("accountId", "lastSeenAt", id);

CREATE TABLE "AccessKey" (
	id TEXT NOT NULL,
	"accountId" TEXT NOT NULL,
	"machineId" TEXT NOT NULL,
	"sessionId" TEXT NOT NULL,
	data TEXT NOT NULL,
	"dataVersion" INTEGER DEFAULT 0 NOT NULL,
	"createdAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	"updatedAt" DATETIME NOT NULL,
	CONSTRAINT "AccessKey_pkey" PRIMARY KEY (id),
	CONSTRAINT "AccessKey_accountId_machineId_fkey" FOREIGN KEY("accountId", "machineId") REFERENCES "Machine" ("accountId", id) ON DELETE RESTRICT ON UPDATE CASCADE,
	CONSTRAINT "AccessKey_accountId_fkey" FOREIGN KEY("accountId") REFERENCES "Account" (id) ON DELETE RESTRICT ON UPDATE CASCADE,
	CONSTRAINT "AccessKey_sessionId_fkey" FOREIGN KEY("sessionId") REFERENCES "Session" (id) ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE INDEX "AccessKey_accountId_idx" ON "AccessKey" ("accountId");
CREATE UNIQUE INDEX "AccessKey_accountId_machineId_sessionId_key" ON "AccessKey" ("accountId", "machineId", "sessionId");
CREATE INDEX "AccessKey_machineId_idx" ON "AccessKey" ("machineId");
CREATE INDEX "AccessKey_sessionId_idx" ON "AccessKey" ("sessionId");

CREATE TABLE "SessionMessage" (
	id TEXT NOT NULL,
	"sessionId" TEXT NOT NULL,
	"localId" TEXT,
	seq INTEGER NOT NULL,
	content JSONB NOT NULL,
	"createdAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	"updatedAt" DATETIME NOT NULL,
	CONSTRAINT "SessionMessage_pkey" PRIMARY KEY (id),
	CONSTRAINT "SessionMessage_sessionId_fkey" FOREIGN KEY("sessionId") REFERENCES "Session" (id) ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "SessionMessage_sessionId_localId_key" ON "SessionMessage" ("sessionId", "localId");
CREATE INDEX "SessionMessage_sessionId_seq_idx" ON "SessionMessage" ("sessionId", seq);

CREATE TABLE "UsageReport" (
	id TEXT NOT NULL,
	"key" TEXT NOT NULL,
	"accountId" TEXT NOT NULL,
	"sessionId" TEXT,
	data JSONB NOT NULL,
	"createdAt" DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	"updatedAt" DATETIME NOT NULL,
	CONSTRAINT "UsageReport_pkey" PRIMARY KEY (id),
	CONSTRAINT "UsageReport_accountId_fkey" FOREIGN KEY("accountId") REFERENCES "Account" (id) ON DELETE RESTRICT ON UPDATE CASCADE,
	CONSTRAINT "UsageReport_sessionId_fkey" FOREIGN KEY("sessionId") REFERENCES "Session" (id) ON DELETE SET NULL ON UPDATE CASCADE
);
CREATE INDEX "UsageReport_accountId_idx" ON "UsageReport" ("accountId");
CREATE UNIQUE INDEX "UsageReport_accountId_sessionId_key_key" ON "UsageReport" ("accountId", "sessionId", "key");
CREATE INDEX "UsageReport_sessionId_idx" ON "UsageReport" ("sessionId");
CREATE INDEX "happy_UsageReport_accountId_createdAt_idx" ON "UsageReport" ("accountId", "createdAt", id);
CREATE INDEX "happy_UsageReport_sessionId_createdAt_idx" ON "UsageReport" ("sessionId", "createdAt", id);

CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

INSERT INTO alembic_version (version_num) VALUES ('0016');

CREATE TABLE "happy_SchemaCompatibility" (
	oldest VARCHAR(32) NOT NULL
);

INSERT INTO "happy_SchemaCompatibility" (oldest) VALUES ('0013');
