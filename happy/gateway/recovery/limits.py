"""How much history is kept for clients that lost their connection."""

from msgspec import Struct

from happy.limits import limit

MAX_EVENTS = limit(
    2_048,
    "updates kept to be replayed",
    per="account",
    then="the oldest are dropped; who missed them reads again",
)
MAX_STATES = limit(
    1_024,
    "last states of ephemerals kept to be replayed",
    per="account",
    then="the oldest are dropped; who missed them reads again",
)
"""Of one account. A replay of both fits into the send queue of a connection."""


class HistoryLimits(Struct, frozen=True, kw_only=True):
    """`keep_seconds` is the recovery window and the time until a loss is noticed."""

    keep_seconds: float = 240.0
    account_bytes: int = limit(
        1_000_000,
        "bytes of updates kept to be replayed",
        per="account",
        then="the oldest are dropped; who missed them reads again",
        setting="HAPPY_RECOVERY_ACCOUNT_BYTES",
    )
    total_bytes: int = limit(
        64_000_000,
        "bytes of updates of all accounts kept to be replayed",
        per="replica",
        then="the oldest are dropped; who missed them reads again",
        setting="HAPPY_RECOVERY_TOTAL_BYTES",
    )
