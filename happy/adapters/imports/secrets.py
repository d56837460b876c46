"""Whether this server knows the master secret that the rows of a source were made with."""

import sqlite3
from collections.abc import Iterator
from typing import Final, Literal

from msgspec import Struct

from happy.adapters.secrets import Secrets
from happy.crypto import Keyring, key_id_of
from happy.domain.sealed import Path, github_token_path, vendor_token_path
from happy.domain.values import AccountId

FINGERPRINT: Final = 'SELECT "value" FROM "SimpleCache" WHERE "key" = \'happy-server:master-secret\''
VENDOR_TOKENS: Final = 'SELECT "accountId", "vendor", "token" FROM "ServiceAccountToken"'
GITHUB_TOKENS: Final = (
    'SELECT a."id", g."token" FROM "Account" a JOIN "GithubUser" g ON g."id" = a."githubUserId"'
    ' WHERE g."token" IS NOT NULL'
)
SEALED: Final = (VENDOR_TOKENS, GITHUB_TOKENS)
COUNT: Final = "SELECT count(*) FROM ({})"  # formatted with the two above
TRIED: Final = 100
"""Sealed values of each kind that are opened, at most: one that opens says enough."""

Verdict = Literal["known", "other", "unknown", "none here"]

KNOWN: Final = "the master secret is known here: every device goes on"
OTHER: Final = (
    "they were made with master secret {} that is not known here: every device has to sign in again, and {}"
    " sealed tokens of other services cannot be read. Put that secret into HANDY_MASTER_SECRET_PREVIOUS, now"
    " or later: then devices go on and nothing is lost"
)
UNKNOWN: Final = (
    "nothing in them names their master secret: if it is not one of those that are set here,"
    " put it into HANDY_MASTER_SECRET_PREVIOUS, or every device has to sign in again"
)
NONE_HERE: Final = (
    "there is no master secret here yet: put that of the other server into HANDY_MASTER_SECRET before the"
    " first start, or every device has to sign in again"
)


class SourceSecret(Struct, frozen=True):
    """What to say about the secret."""

    verdict: Verdict
    sentence: str


def judge(source: sqlite3.Connection, secrets: Secrets | None) -> SourceSecret:
    """By the fingerprint that our servers store in a database, or else by opening what is sealed in it."""
    if secrets is None:
        return SourceSecret("none here", NONE_HERE)
    keys = Keyring(secrets.current, secrets.previous)
    found = source.execute(FINGERPRINT).fetchone()
    sealed = list(_sealed(source))
    if found is not None:
        known, name = found[0] in (keys.fingerprint, *keys.previous_fingerprints), key_id_of(found[0])
    elif sealed:
        known, name = any(_opens(keys, path, blob) for path, blob in sealed), "of another server"
    else:
        return SourceSecret("unknown", UNKNOWN)
    if known:
        return SourceSecret("known", KNOWN)
    count = sum(source.execute(COUNT.format(query)).fetchone()[0] for query in SEALED)
    return SourceSecret("other", OTHER.format(name, count))


def _sealed(source: sqlite3.Connection) -> Iterator[tuple[Path, bytes]]:
    """Some values, with their paths."""
    for account, vendor, blob in source.execute(f"{VENDOR_TOKENS} LIMIT {TRIED}"):
        yield vendor_token_path(AccountId(account), vendor), blob
    for account, blob in source.execute(f"{GITHUB_TOKENS} LIMIT {TRIED}"):
        yield github_token_path(AccountId(account)), blob


def _opens(keys: Keyring, path: Path, blob: bytes) -> bool:
    try:
        keys.at_rest.unseal(path, blob)
    except ValueError:
        return False
    return True
