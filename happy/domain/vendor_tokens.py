"""Credentials of an account for services of other companies (protocol: http#vendor-tokens)."""

from typing import Literal

from msgspec import Struct

Vendor = Literal["openai", "anthropic", "gemini"]


class SealedToken(Struct, frozen=True):
    """A token as it is stored. `vendor` may be unknown here, if another server stored it."""

    vendor: str
    token: bytes
