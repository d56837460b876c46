"""Accounts, the requests that link a new device to one, and push tokens."""

from typing import Literal

import msgspec
from msgspec import Struct

from happy.domain.values import FUTURE_AFTER, MINUTE, AccountId, Millis

PairingKind = Literal["terminal", "account"]

UNANSWERED_LIFETIME = Millis(60 * MINUTE)
"""How long a linking request waits for somebody to approve it, in ms since it was last asked for."""

PICKUP_LIFETIME = Millis(10 * MINUTE)
"""How long an answered request hands out tokens, in ms: a client polls again when an answer was lost."""


class Identity(Struct, frozen=True):
    """Whom a verified token speaks for."""

    account_id: AccountId


class Account(Struct, frozen=True):
    """Who somebody is. `avatar` and the linked GitHub profile are stored as JSON."""

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
        """Whether this request has lost its meaning: never approved in time, or picked up long ago.

        One of a time to come was made before the clock was set back, and would otherwise last until then.
        """
        ends = self.updated_at + (PICKUP_LIFETIME if self.answered else UNANSWERED_LIFETIME)
        return not self.updated_at - FUTURE_AFTER <= now <= ends


class PushToken(Struct, frozen=True, rename="camel"):
    id: str
    token: str
    created_at: Millis
    updated_at: Millis
