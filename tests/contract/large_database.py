"""A database as large as one account may make it: filled by itself in seconds, the same on both flavors.

Account `a1` has 5,000 of everything, and `s1` is its long session; 2,000 other accounts have one of each.
"""

from collections.abc import Iterator

SIZE = 5_000
OTHERS = 2_000
LONG = 100_000
EACH = 20
"""Messages of every other session."""

MILLION = 180
"""As many a session make a million together."""

NOW = 1_800_000_000_000

SPELLINGS = {
    "postgresql": {
        "moment": "TIMESTAMP 'epoch' + (1799999000000 + i) * INTERVAL '1 millisecond'",
        "blob": r"'\x00'::bytea",
        "even": "i % 2 = 0",
        "coarse": "TIMESTAMP 'epoch' + (1799999000000 + i / 1000) * INTERVAL '1 millisecond'",
    },
    "sqlite": {
        "moment": "1799999000000 + i",
        "blob": "x'00'",
        "even": "i % 2 = 0",
        "coarse": "1799999000000 + i / 1000",
    },
}
ALIVE = {"active": "{even}", "lastActiveAt": "{moment}", "metadata": "'m'"}
CONTENT = """'{{"t":"encrypted","c":""}}'"""
FIGURES = """'{{"tokens":{{"total":1}},"cost":{{"total":1}}}}'"""
PAIRING = {
    "id": "'q'||i",
    "publicKey": "'k'||i",
    "response": "CASE WHEN i % 2 = 0 THEN 'answered' END",
}
OWNED = {
    "Session": {"id": "'s'||i", "tag": "'tag'||i", "updatedAt": "{coarse}", **ALIVE},
    "Machine": {"id": "'m'||i", **ALIVE},
    "Artifact": {"id": "'f'||i", "header": "{blob}", "body": "{blob}", "dataEncryptionKey": "{blob}"},
    "UserKVStore": {
        "id": "'e'||i",
        "key": "'project:'||(100000 + i)",
        "value": "CASE WHEN i % 3 > 0 THEN {blob} END",
    },
    "UsageReport": {"id": "'r'||i", "sessionId": "'s'||i", "key": "'claude'", "data": FIGURES},
    "UploadedFile": {"id": "'u'||i", "path": "'p'||i", "reuseKey": "'x'||i"},
    "AccountPushToken": {"id": "'t'||i", "token": "'token'||i"},
}
"""What each account has, beside its owner and its times."""

OF_ONE = {
    "UserFeedItem": {
        "id": "'i'||i",
        "userId": "'a1'",
        "counter": "i",
        "repeatKey": "'again'||i",
        "body": "'{{}}'",
    },
    "AccessKey": {
        "id": "'c'||i",
        "accountId": "'a1'",
        "machineId": "'m'||i",
        "sessionId": "'s'||i",
        "data": "''",
    },
    "TerminalAuthRequest": PAIRING,
    "AccountAuthRequest": PAIRING,
}
DELETED = "'deleted-sessions'"
MESSAGE = {"localId": "'local'||i", "content": CONTENT}


def fill(
    dialect: str, size: int = SIZE, others: int = OTHERS, long: int = LONG, each: int = EACH
) -> Iterator[str]:
    """The statements, for a database with the schema and no rows whose references are not checked."""
    for table, count, columns in _tables(size, others, long, each):
        names = {"createdAt": "{moment}", "updatedAt": "{moment}", **columns}
        if table == "RepeatKey":
            del names["updatedAt"]
        listed = ", ".join(f'"{name}"' for name in names)
        values = ", ".join(names.values()).format(**SPELLINGS[dialect])
        yield (
            f'INSERT INTO "{table}" ({listed}) WITH RECURSIVE n(i) AS'
            f" (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT {values} FROM n"
        )
    yield "ANALYZE"


def _tables(size: int, others: int, long: int, each: int) -> Iterator[tuple[str, int, dict[str, str]]]:
    """What there is, in an order that references would allow."""
    github = "CASE WHEN i > 1 THEN 'g'||(i - 1) END"
    yield "GithubUser", others, {"id": "'g'||i", "profile": "'{{}}'"}
    account = {"id": "'a'||i", "publicKey": "'k'||i", "username": "'user'||i", "githubUserId": github}
    yield "Account", 1 + others, account
    owner = f"CASE WHEN i <= {size} THEN 'a1' ELSE 'a'||(i - {size} + 1) END"
    for table, columns in OWNED.items():
        yield table, size + others, {"accountId": owner, **columns}
    for table, columns in OF_ONE.items():
        yield table, size, columns
    yield "SessionMessage", long, {"id": "'long'||i", "sessionId": "'s1'", "seq": "i", **MESSAGE}
    short = {"id": "'short'||i", "sessionId": f"'s'||((i - 1) / {each} + 2)", "seq": f"(i - 1) % {each} + 1"}
    yield "SessionMessage", each * size, {**short, **MESSAGE}
    for one, other in (("'a1'", "'a'||(i + 1)"), ("'a'||(i + 1)", "'a1'")):
        yield "UserRelationship", others, {"fromUserId": one, "toUserId": other, "status": "'friend'"}
    yield from _deleted(size)
    yield "RepeatKey", size, {"key": "'github-state:'||i", "value": "''", "expiresAt": "{moment}"}


def _deleted(size: int) -> Iterator[tuple[str, int, dict[str, str]]]:
    """A session and a machine whose rows are still to be removed."""
    yield "Account", 1, {"id": DELETED, "publicKey": DELETED}
    yield "Session", 1, {"id": "'gone'", "tag": "'gone'", "accountId": DELETED, **ALIVE}
    machine = {"id": "'gone'", "accountId": "'a1'", "happy_deletedAt": "{moment}", **ALIVE}
    yield "Machine", 1, machine
    yield "SessionMessage", size, {"id": "'gone'||i", "sessionId": "'gone'", "seq": "i", **MESSAGE}
    report = {"id": "'gone'||i", "accountId": "'a1'", "sessionId": "'gone'", "key": "'k'||i", "data": FIGURES}
    yield "UsageReport", size, report
    for column, other, prefix in (("sessionId", "machineId", "x"), ("machineId", "sessionId", "y")):
        named = {"id": f"'{prefix}'||i", "accountId": "'a1'", "data": "''"}
        yield "AccessKey", size // 100, {**named, column: "'gone'", other: f"'{prefix}'||i"}
