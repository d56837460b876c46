"""What coding sessions cost: reports of tokens and money, and their sums by hour or day."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from msgspec import Struct

from happy.domain.values import HOUR, Millis, SessionId

DAY = 24 * HOUR
Grouping = Literal["hour", "day"]
LENGTHS: dict[Grouping, int] = {"hour": HOUR, "day": DAY}


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


class StoredUsage(Struct, frozen=True):
    """What a query needs of a report."""

    created_at: Millis
    data: msgspec.Raw


class UsageBucket(Struct, frozen=True, rename="camel"):
    """Sums of the reports created in one hour or day. `timestamp` is its start in Unix seconds."""

    timestamp: int
    tokens: dict[str, float]
    cost: dict[str, float]
    report_count: int


def group(reports: Iterable[StoredUsage], grouping: Grouping) -> list[UsageBucket]:
    """Buckets in ascending order. Hours and days are those of UTC, wherever the server stands."""
    length = LENGTHS[grouping]
    buckets: dict[int, list[Any]] = defaultdict(list)
    for report in reports:
        buckets[report.created_at - report.created_at % length].append(msgspec.json.decode(report.data))
    return [
        UsageBucket(
            timestamp=start // 1000,
            tokens=_sums(report.get("tokens") for report in reported),
            cost=_sums(report.get("cost") for report in reported),
            report_count=len(reported),
        )
        for start, reported in sorted(buckets.items())
    ]


def _sums(parts: Iterable[Any]) -> dict[str, float]:
    """Sums by name; whatever is no number is passed over."""
    sums: dict[str, float] = defaultdict(int)
    for part in parts:
        for name, value in (part if isinstance(part, dict) else {}).items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                sums[name] += value
    return dict(sums)
