"""Accounts, the requests that link a new device to one, and push tokens."""

from typing import Literal

import msgspec
from msgspec import Struct

from happy.domain.values import FUTURE_AFTER, MINUTE, AccountId, Millis
from happy.limits import limit

PairingKind = Literal["terminal", "account"]

UNANSWERED_MINUTES = limit(
    15,
    "min that an unanswered linking request lives",
    per="request",
    then="404; another request makes it anew",
)
UNANSWERED_LIFETIME = Millis(UNANSWERED_MINUTES * MINUTE)
"""A waiting device polls every second."""

ANSWERED_MINUTES = limit(
    10, "min that an answer waits for the linked device", per="request", then="as if it was never requested"
)
ANSWERED_LIFETIME = Millis(ANSWERED_MINUTES * MINUTE)

PICK_UP_MINUTES = limit(
    5,
    "min that an answer is handed out after the first time",
    per="request",
    then="as if it was never requested",
)
PICK_UP_LIFETIME = Millis(PICK_UP_MINUTES * MINUTE)
"""A client polls again when a response was lost; a photograph of its code is worth nothing later."""


class Identity(Struct, frozen=True):
    """The account of a verified token."""

    account_id: AccountId


class Account(Struct, frozen=True):
    """An account's row. `avatar` and the linked GitHub profile are stored as JSON."""

    id: AccountId
    first_name: str | None
    last_name: str | None
    username: str | None
    avatar: msgspec.Raw | None
    github: msgspec.Raw | None


def user_folder(account_id: AccountId) -> str:
    """The prefix of the account's own files in the file store."""
    return f"public/users/{account_id}/"


class Avatar(Struct, frozen=True):
    """The stored part of a profile picture; sizes are pixels."""

    path: str
    width: int
    height: int
    thumbhash: str


class Settings(Struct, frozen=True):
    value: str | None
    version: int


class PairingRequest(Struct, frozen=True):
    """A device that is to be linked; `response` is what an approving device encrypted for it."""

    id: str
    supports_v2: bool
    response: str | None
    account_id: AccountId | None
    updated_at: Millis
    picked_up_at: Millis | None
    """When the answer was handed out first."""

    @property
    def answered(self) -> bool:
        return bool(self.response) and self.account_id is not None

    def expired(self, now: Millis) -> bool:
        """Whether the timeout has passed: of the approval, or of issuing tokens after it.

        A request with a time in the future counts as expired: the clock was set back since.
        """
        began, lifetime = self.updated_at, UNANSWERED_LIFETIME
        if self.answered:
            lifetime = ANSWERED_LIFETIME
            if self.picked_up_at is not None:
                began, lifetime = self.picked_up_at, PICK_UP_LIFETIME
        return not began - FUTURE_AFTER <= now <= began + lifetime


class PushToken(Struct, frozen=True, rename="camel"):
    id: str
    token: str
    created_at: Millis
    updated_at: Millis
