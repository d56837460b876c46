"""Accounts, the requests that link a new device to one, and push tokens."""

from typing import Literal

import msgspec
from msgspec import Struct

from happy.domain.values import FUTURE_AFTER, MINUTE, AccountId, Millis

PairingKind = Literal["terminal", "account"]

UNANSWERED_LIFETIME = Millis(60 * MINUTE)
"""Timeout of an unanswered linking request, in ms since the device last polled."""

PICKUP_LIFETIME = Millis(10 * MINUTE)
"""How long an answered request issues tokens, in ms: a client polls again when a response was lost."""


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
    """A device that asks to be linked; `response` is what an approving device encrypted for it."""

    id: str
    supports_v2: bool
    response: str | None
    account_id: AccountId | None
    updated_at: Millis

    @property
    def answered(self) -> bool:
        return bool(self.response) and self.account_id is not None

    def expired(self, now: Millis) -> bool:
        """Whether the timeout has passed: of the approval, or of issuing tokens after it.

        A request with a time in the future counts as expired: the clock was set back since.
        """
        ends = self.updated_at + (PICKUP_LIFETIME if self.answered else UNANSWERED_LIFETIME)
        return not self.updated_at - FUTURE_AFTER <= now <= ends


class PushToken(Struct, frozen=True, rename="camel"):
    id: str
    token: str
    created_at: Millis
    updated_at: Millis
