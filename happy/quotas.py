"""Quotas of accounts: how much of each an account may store, as `HAPPY_QUOTAS` says; none unless it is set.

HAPPY_QUOTAS=bytes=10G,sessions=2k,attachments=5k
"""

import re
from typing import Final

from msgspec import Struct

SETTING: Final = "HAPPY_QUOTAS"
MULTIPLES: Final = {"": 1, "k": 1_000, "M": 1_000_000, "G": 1_000_000_000, "T": 1_000_000_000_000}
_AMOUNT: Final = re.compile(r"(\d{1,9})([kMGT]?)")


class Quotas(Struct, frozen=True, kw_only=True):
    """For each account; None: no quota. The names are those of `HAPPY_QUOTAS`."""

    bytes: int | None = None
    """Of messages and attachments."""

    sessions: int | None = None
    attachments: int | None = None


KINDS: Final = Quotas.__struct_fields__


def parse_quotas(text: str) -> Quotas:
    """Raises ValueError."""
    quotas: dict[str, int | None] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        kind, _, amount = (piece.strip() for piece in part.partition("="))
        match = _AMOUNT.fullmatch(amount)
        if kind not in KINDS or match is None:
            raise ValueError(part)
        quotas[kind] = int(match[1]) * MULTIPLES[match[2]]
    return Quotas(**quotas)
