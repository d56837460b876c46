"""Fields and responses that several endpoints share."""

from typing import Annotated

from msgspec import Meta, Struct

from happy.domain.encoding import decode_lenient

Version = Annotated[int, Meta(ge=0, le=2**31 - 2)]
"""The version that a client replaces; databases count in 32 bits."""


class Done(Struct):
    success: bool = True


def optional_key(text: str | None) -> bytes | None:
    """A data encryption key as clients send it: absent, null and empty mean none."""
    return decode_lenient(text) if text else None
