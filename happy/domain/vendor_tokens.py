"""Credentials of other companies that an account keeps here (protocol: http#vendor-tokens)."""

from typing import Literal

from msgspec import Struct

Vendor = Literal["openai", "anthropic", "gemini"]


class SealedToken(Struct, frozen=True):
    """A token as it is stored. `vendor` may be one that only another server knows."""

    vendor: str
    token: bytes
