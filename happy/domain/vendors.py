"""Credentials of other companies that an account keeps here (contract 01 section 12.5)."""

from typing import Literal

from msgspec import Struct

Vendor = Literal["openai", "anthropic", "gemini"]


class SealedToken(Struct, frozen=True):
    """A token as it is stored. `vendor` may be one that only another server knows."""

    vendor: str
    token: bytes
