"""Buckets of a cluster in the memory of a test: `SharedBuckets` over the buckets that each replica has."""

import asyncio
from collections.abc import Callable

from happy.domain.errors import Unavailable
from happy.domain.ports.shared_buckets import OnOwed, Taken
from happy.domain.token_buckets import TokenBuckets


class MemoryBuckets:
    """`away` is an outage, `silent` a network that swallows everything; `trips` counts calls."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._buckets: dict[tuple[str, float], TokenBuckets] = {}
        self.away = False
        self.silent = False
        self.trips = 0

    async def take(self, key: str, cost: float, window: float) -> Taken:
        self.trips += 1
        if self.silent:
            await asyncio.Event().wait()
        if self.away:
            raise Unavailable
        buckets, now = self._of(key, window), self._now()
        granted = not buckets.take(key, cost, now)
        return Taken(granted, buckets.owed(key, now))

    def spend(self, key: str, cost: float, window: float, on_owed: OnOwed) -> None:
        self.trips += 1
        if not (self.away or self.silent):
            buckets, now = self._of(key, window), self._now()
            buckets.reserve(key, cost, now)
            on_owed(buckets.owed(key, now))

    def _of(self, key: str, window: float) -> TokenBuckets:
        return self._buckets.setdefault((key, window), TokenBuckets(window))
