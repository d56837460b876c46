"""What is stored sealed under the master secret, and which secret that is.

protocol: cryptography#at-rest-encryption
"""

from typing import Literal

from msgspec import Struct

from happy.domain.values import AccountId

SealedKind = Literal["vendor token", "GitHub token"]

Path = tuple[str, ...]
"""Names the key: each value is sealed under one of its own."""


def vendor_token_path(account_id: AccountId, vendor: str) -> Path:
    return "user", account_id, "vendors", vendor, "token"


def github_token_path(account_id: AccountId) -> Path:
    return "user", account_id, "github", "token"


class SealedValue(Struct, frozen=True):
    """A stored value; no account when its GitHub user is linked to none, so that the path is unknown."""

    id: str
    account_id: AccountId | None
    vendor: str | None
    blob: bytes


class SealedCount(Struct, frozen=True):
    """How many values were sealed with a secret."""

    key_id: str | None
    """None: an earlier release, or another server, has written them."""

    count: int


def path_of(value: SealedValue) -> Path | None:
    if value.account_id is None:
        return None
    if value.vendor is None:
        return github_token_path(value.account_id)
    return vendor_token_path(value.account_id, value.vendor)
