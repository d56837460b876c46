"""One account with something of everything, as another server wrote it, and what the API says of it."""

import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from happy import crypto

SECRET = "a secret for tests"
ME, FRIEND = "cm3sx0r9z0000abcd12345678", "cm3sx0r9z0001abcd12345678"
SESSION, MACHINE = "cm3sx0r9z0002abcd12345678", "a3b0c442-98fc-4c14-9afb-f4c8996fb924"
ARTIFACT = "0b1c2d3e-4f50-4172-8394-a5b6c7d8e9f0"
BYTES = bytes(range(256)) * 5
TEXT = "Zürich 東京 🙂 \\ \" ' \t\n" * 7
MADE, CHANGED, ACTIVE = 1_732_286_231_123, 1_732_286_999_007, 1_732_286_998_001
MOMENTS = {"createdAt": MADE, "updatedAt": CHANGED}
MESSAGES = 320
GITHUB = {"id": 42, "login": "octo", "name": TEXT, "bio": "a bio", "nested": {"null": None, "list": [1, 2.5]}}
AVATAR = {"path": "public/users/x/avatars/github_a.png", "width": 7, "height": 9, "thumbhash": "AAECAw=="}
TOKEN = '{"oauth":"a token of a vendor"}'
USAGE = {"tokens": {"total": 12}, "cost": {"total": 0.25}}

Row = dict[str, Any]


def rows() -> dict[str, list[Row]]:
    """By table, parents first. Numbers in columns of moments are milliseconds."""
    sealed = crypto.derive(SECRET).at_rest.seal(["user", ME, "vendors", "anthropic", "token"], TOKEN).blob
    encrypted = {"metadata": TEXT, "metadataVersion": 3, "dataEncryptionKey": BYTES, "active": False}
    mine = {"accountId": ME, **MOMENTS}
    return {
        "GithubUser": [{"id": "42", "profile": json.dumps(GITHUB), "token": BYTES, **MOMENTS}],
        "Account": [
            {
                "id": ME, "publicKey": "AB" * 32, "seq": 999, "feedSeq": 2**40, "settings": TEXT,
                "settingsVersion": 5, "githubUserId": "42", "firstName": "Ada", "lastName": TEXT,
                "username": "octo", "avatar": json.dumps(AVATAR), **MOMENTS,
            },
            {"id": FRIEND, "publicKey": "CD" * 32, "firstName": "Bob", "username": "bob", **MOMENTS},
        ],
        "AccountPushToken": [{"id": "push-1", "token": "ExponentPushToken[x]", **mine}],
        "Session": [
            {
                "id": SESSION, "tag": "a tag", "agentState": TEXT, "agentStateVersion": 4, "seq": MESSAGES,
                "lastActiveAt": ACTIVE, **encrypted, **mine,
            }
        ],
        "SessionMessage": [message(seq) for seq in range(1, MESSAGES + 1)],
        "Machine": [
            {
                "id": MACHINE, "daemonState": TEXT, "daemonStateVersion": 2, "lastActiveAt": ACTIVE,
                **encrypted, **mine,
            }
        ],
        "AccessKey": [
            {
                "id": "key-1", "machineId": MACHINE, "sessionId": SESSION, "data": TEXT, "dataVersion": 6,
                **mine,
            }
        ],
        "Artifact": [
            {
                "id": ARTIFACT, "header": BYTES, "headerVersion": 2, "body": BYTES[::-1], "bodyVersion": 3,
                "dataEncryptionKey": BYTES, "seq": 8, **mine,
            }
        ],
        "UserKVStore": [
            {"id": "kv-1", "key": "a:key", "value": BYTES, "version": 9, **mine},
            {"id": "kv-2", "key": "deleted", "value": None, "version": 1, **mine},
        ],
        "ServiceAccountToken": [{"id": "token-1", "vendor": "anthropic", "token": sealed, **mine}],
        "UsageReport": [
            {"id": "use-1", "key": "claude", "sessionId": SESSION, "data": json.dumps(USAGE), **mine}
        ],
        "UserRelationship": [
            {"fromUserId": ME, "toUserId": FRIEND, "status": "friend", "acceptedAt": CHANGED, **MOMENTS},
            {"fromUserId": FRIEND, "toUserId": ME, "status": "friend", "acceptedAt": CHANGED, **MOMENTS},
        ],
        "UserFeedItem": [
            {
                "id": "feed-1", "userId": ME, "counter": 2**40, "repeatKey": "friend_accepted_x",
                "body": json.dumps({"kind": "text", "text": TEXT}), **MOMENTS,
            }
        ],
    }  # fmt: skip


def message(seq: int) -> Row:
    content = {"t": "encrypted", "c": b64encode(BYTES * seq)[: 40 * seq].decode()}
    local = f"local-{seq}" if seq % 3 else None
    moments = {"createdAt": MADE + seq, "updatedAt": MADE + seq}
    return {
        "id": f"cm3sx0r9z{seq:04}mess12345678", "sessionId": SESSION, "localId": local, "seq": seq,
        "content": json.dumps(content), **moments,
    }  # fmt: skip


async def fill(url: str) -> None:
    connection = await asyncpg.connect(url)
    for table, found in rows().items():
        for row in found:
            names = ", ".join(f'"{name}"' for name in row)
            parameters = ", ".join(f"${number}" for number in range(1, len(row) + 1))
            values = [moment(value) if name.endswith("At") else value for name, value in row.items()]
            await connection.execute(f'INSERT INTO "{table}" ({names}) VALUES ({parameters})', *values)
    await connection.close()


def moment(milliseconds: int) -> datetime:
    """As the column type has it: without a time zone."""
    return datetime(1970, 1, 1) + timedelta(milliseconds=milliseconds)  # noqa: DTZ001


def expected() -> Mapping[str, Any]:
    """The answer to each GET, but for what depends on the moment or the server that is asked."""
    key, versions = b64encode(BYTES).decode(), {"metadata": TEXT, "metadataVersion": 3}
    thing = {**versions, "dataEncryptionKey": key, "active": False, "activeAt": ACTIVE, **MOMENTS}
    session = {"id": SESSION, "seq": MESSAGES, "agentState": TEXT, "agentStateVersion": 4, **thing}
    machine = {"id": MACHINE, "seq": 0, "daemonState": TEXT, "daemonStateVersion": 2, **thing}
    artifact = {
        "id": ARTIFACT,
        "header": key,
        "headerVersion": 2,
        "dataEncryptionKey": key,
        "seq": 8,
        **MOMENTS,
    }
    access = {"data": TEXT, "dataVersion": 6, **MOMENTS}
    push = {"id": "push-1", "token": "ExponentPushToken[x]", **MOMENTS}
    friend = {
        "id": FRIEND,
        "firstName": "Bob",
        "lastName": None,
        "avatar": None,
        "username": "bob",
        "bio": None,
    }
    feed = {
        "id": "feed-1", "body": {"kind": "text", "text": TEXT}, "repeatKey": "friend_accepted_x",
        "cursor": f"0-{2**40}", "createdAt": MADE,
    }  # fmt: skip
    return {
        "/v1/sessions": {"sessions": [{**session, "lastMessage": None}]},
        "/v2/sessions": {"sessions": [session], "nextCursor": None, "hasNext": False},
        "/v1/machines": [machine],
        f"/v1/machines/{MACHINE}": {"machine": machine},
        "/v1/artifacts": [artifact],
        f"/v1/artifacts/{ARTIFACT}": {
            **artifact, "body": b64encode(BYTES[::-1]).decode(), "bodyVersion": 3,
        },
        f"/v1/access-keys/{SESSION}/{MACHINE}": {"accessKey": access},
        "/v1/kv": {"items": [{"key": "a:key", "value": key, "version": 9}]},
        "/v1/kv/a:key": {"key": "a:key", "value": key, "version": 9},
        "/v1/account/settings": {"settings": TEXT, "settingsVersion": 5},
        "/v1/connect/anthropic/token": {"token": TOKEN},
        "/v1/push-tokens": {"tokens": [push]},
        "/v1/friends": {"friends": [{**friend, "status": "friend"}]},
        "/v1/feed": {"items": [feed], "hasMore": False},
    }  # fmt: skip
