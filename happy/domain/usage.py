"""Usage reports of coding sessions, tokens and cost, and their sums by hour or day."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from happy.domain.values import HOUR, Millis, SessionId
from happy.limits import limit

DAY = 24 * HOUR
Grouping = Literal["hour", "day"]
LENGTHS: dict[Grouping, int] = {"hour": HOUR, "day": DAY}

MAX_NAMES = limit(
    64, "names of tokens, and of costs, in a usage report", per="report", then="refused: `Invalid parameters`"
)
"""Names in the tokens, and in the cost, of one report. Clients send five: total, input, output, cache."""

MAX_NAME = limit(
    64, "characters of a name in a usage report", per="report", then="refused: `Invalid parameters`"
)
"""Characters."""

MAX_SUMS = limit(100_000, "sums in an answer about usage", per="request", then="further names are left out")
"""In one answer; further names are left out. A year by the hour has fewer, with the names of clients."""


MAX_PORTION_SUMS = limit(
    10_000, "sums of a thousand usage reports", per="request", then="further names of these are left out"
)
"""Those that clients send have ten; an answer of 128,000 took the server a second."""


class UsageReport(Struct, frozen=True):
    """The latest figures under one key, instead of those before. `data`: JSON with `tokens` and `cost`."""

    key: str
    session_id: SessionId | None
    data: str


class SavedReport(Struct, frozen=True):
    """Where and when a report was stored; replacing one keeps its id and its creation time."""

    id: str
    created_at: Millis
    updated_at: Millis


class ReportCursor(Struct, frozen=True):
    """Sort key of a report among those of an account: its creation time and its id."""

    created_at: Millis
    id: str


class UsageRange(Struct, frozen=True):
    """The reports behind `after` created by `until`, of one session if it is named, and their buckets."""

    session_id: SessionId | None
    after: ReportCursor
    until: Millis
    length: int


class UsageSum(Struct, frozen=True):
    """The sum of one name's figures in the bucket that begins at `start`."""

    start: Millis
    name: str
    value: float


class UsagePortion(Struct, frozen=True):
    """Sums of some reports; `last` is the last of them, None when no other may follow."""

    counts: list[tuple[Millis, int]]
    tokens: list[UsageSum]
    costs: list[UsageSum]
    last: ReportCursor | None


class UsageBucket(Struct, frozen=True, rename="camel"):
    """Sums of the reports created in one hour or day. `timestamp` is its start in Unix seconds."""

    timestamp: int
    tokens: dict[str, float]
    cost: dict[str, float]
    report_count: int


class UsageBuckets:
    """Adds up portions. Hours and days are those of UTC."""

    def __init__(self) -> None:
        self._counts: dict[Millis, int] = defaultdict(int)
        self._tokens: dict[Millis, dict[str, float]] = defaultdict(dict)
        self._costs: dict[Millis, dict[str, float]] = defaultdict(dict)
        self._names = 0

    def add(self, portion: UsagePortion) -> None:
        for start, count in portion.counts:
            self._counts[start] += count
        for sums, added in ((self._tokens, portion.tokens), (self._costs, portion.costs)):
            for one in added:
                self._add(sums[one.start], one)

    def _add(self, sums: dict[str, float], one: UsageSum) -> None:
        if one.name in sums:
            sums[one.name] += one.value
        elif self._names < MAX_SUMS:
            self._names += 1
            sums[one.name] = one.value

    def in_order(self) -> list[UsageBucket]:
        """Ascending."""
        return [
            UsageBucket(start // 1000, self._tokens[start], self._costs[start], count)
            for start, count in sorted(self._counts.items())
        ]


def too_many_names(figures: Mapping[str, object]) -> bool:
    """Whether a report has more names, or longer ones, than the limits allow."""
    return len(figures) > MAX_NAMES or any(len(name) > MAX_NAME for name in figures)
