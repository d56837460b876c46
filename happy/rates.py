"""Rate limits: what is limited, the usual rates, and how others are written in `HAPPY_RATE_LIMITS`.

    HAPPY_RATE_LIMITS=off
    HAPPY_RATE_LIMITS=sign-ins=10/m,accounts=5/h:20,calls=off

Each is a token bucket: `10/m` allows ten at once, and one more every six seconds; `5/h:20` twenty at once,
and five more every hour. The usual rates are far above what clients need: a person who meets one is a reason
to raise it. They are per address where nobody is signed in, else per account, on all replicas together.
"""

import re
from typing import Final

from msgspec import Struct, structs

from happy.limits import limit

SETTING: Final = "HAPPY_RATE_LIMITS"
MINUTE, HOUR = 60.0, 3_600.0
UNITS: Final = {"s": 1.0, "m": MINUTE, "h": HOUR, "d": 86_400.0}
MULTIPLES: Final = {"": 1, "k": 1_000, "M": 1_000_000, "G": 1_000_000_000}

_RATE: Final = re.compile(r"(\d{1,9})([kMG]?)/([smhd])(?::(\d{1,9})([kMG]?))?")
_LATER: Final = "429 with `Retry-After`"
_IN_ACK: Final = "429 with `Retry-After`; events are refused in their acknowledgement, or wait"

MAX_SIGN_INS = limit(600, "sign-ins a minute", per="address", then=_LATER, setting=SETTING)
MAX_ACCOUNTS = limit(100, "new accounts an hour", per="address", then=_LATER, setting=SETTING)
MAX_LINKS = limit(1_000, "new linking requests an hour", per="address", then=_LATER, setting=SETTING)
MAX_POLLS = limit(
    6_000,  # a waiting device polls every second
    "polls of linking requests a minute",
    per="address",
    then=_LATER,
    setting=SETTING,
)
MAX_CONNECTS = limit(
    6_000,
    "new realtime connections a minute",
    per="address",
    then=_LATER,
    setting=SETTING,
)
MAX_MESSAGES = limit(30_000, "messages a minute", per="account", then=_IN_ACK, setting=SETTING)
MAX_BYTES = limit(
    600_000_000,
    "bytes of requests and events a minute",
    per="account",
    then="429 with `Retry-After`; events wait",
    setting=SETTING,
)
MAX_CALLS = limit(
    30_000, "RPC calls a minute", per="account", then="refused: `Too many calls`", setting=SETTING
)
MAX_HEARTBEATS = limit(
    30_000,  # a thousand sessions send one every 2 s each; machines send one every 20 s
    "heartbeats of sessions and machines a minute",
    per="account",
    then="ignored, until one counts again",
    setting=SETTING,
)
MAX_UPLOADS = limit(60, "attachments to upload a minute", per="account", then=_LATER, setting=SETTING)
MAX_PUSHES = limit(  # a few hundred sessions that each end something a few times a minute
    1_200, "push notifications a minute", per="account", then=_LATER, setting=SETTING
)
MAX_FRIENDS = limit(  # each is announced to all clients of another account
    60, "changes of friendships a minute", per="account", then=_LATER, setting=SETTING
)
MAX_SEARCHES = limit(  # more than people type, too few to enumerate accounts
    120, "searches for people a minute", per="account", then=_LATER, setting=SETTING
)


class Rate(Struct, frozen=True):
    """A token bucket: `burst` tokens at most, of which `amount` come back in `seconds`."""

    amount: float
    seconds: float
    burst: float

    @property
    def token(self) -> float:
        """How long one token takes to come back, in ms."""
        return 1_000 * self.seconds / self.amount

    @property
    def window(self) -> float:
        """How long an empty bucket takes to be full again, in ms."""
        return self.burst * self.token


def _every(seconds: float, amount: float) -> Rate:
    return Rate(amount, seconds, amount)


class Rates(Struct, frozen=True, kw_only=True):
    """One rate for each kind of request; None: no limit. The names are those of `HAPPY_RATE_LIMITS`."""

    sign_ins: Rate | None = _every(MINUTE, MAX_SIGN_INS)
    accounts: Rate | None = _every(HOUR, MAX_ACCOUNTS)
    links: Rate | None = _every(HOUR, MAX_LINKS)
    polls: Rate | None = _every(MINUTE, MAX_POLLS)
    connects: Rate | None = _every(MINUTE, MAX_CONNECTS)
    messages: Rate | None = _every(MINUTE, MAX_MESSAGES)
    bytes: Rate | None = _every(MINUTE, MAX_BYTES)
    calls: Rate | None = _every(MINUTE, MAX_CALLS)
    heartbeats: Rate | None = _every(MINUTE, MAX_HEARTBEATS)
    uploads: Rate | None = _every(MINUTE, MAX_UPLOADS)
    pushes: Rate | None = _every(MINUTE, MAX_PUSHES)
    friends: Rate | None = _every(MINUTE, MAX_FRIENDS)
    searches: Rate | None = _every(MINUTE, MAX_SEARCHES)


KINDS: Final = tuple(field.name.replace("_", "-") for field in structs.fields(Rates))
OFF: Final = Rates(**dict.fromkeys(Rates.__struct_fields__))


def parse_rates(text: str) -> Rates:
    """The usual rates with changes such as `sign-ins=10/m,calls=off`; `off` for none. Raises ValueError."""
    if text.strip().lower() == "off":
        return OFF
    changes: dict[str, Rate | None] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        kind, _, rate = (piece.strip() for piece in part.partition("="))
        if kind not in KINDS:
            raise ValueError(kind)
        changes[kind.replace("-", "_")] = None if rate.lower() == "off" else _parse(rate)
    return structs.replace(Rates(), **changes)


def _parse(text: str) -> Rate:
    match = _RATE.fullmatch(text)
    if match is None or not int(match[1]) or (match[4] and not int(match[4])):
        raise ValueError(text)
    amount = int(match[1]) * MULTIPLES[match[2]]
    return Rate(amount, UNITS[match[3]], int(match[4]) * MULTIPLES[match[5]] if match[4] else amount)
