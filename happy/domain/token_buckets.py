"""Token buckets of one kind, in memory (the generic cell rate algorithm).

A bucket is one number: the time at which it will be full again. Taking tokens moves it into the future by the
time that they need to come back, their *cost*; it may be at most one *window* ahead, the time that an empty
bucket needs. Times and costs are in ms.

    window 60 s, cost 1 s: sixty at once, then one a second
"""

from collections.abc import Hashable

from msgspec import Struct

from happy.limits import limit

MAX_BUCKETS = limit(
    20_000,
    "addresses or accounts that a rate limit distinguishes",
    per="kind of request",
    then="those with the least recent request are forgotten, as if it had not been made",
)
_SWEPT = 2


class Bucket(Struct):
    """`full_at` is on the caller's clock. `unshared` is the cost that other replicas do not know of yet."""

    full_at: float
    unshared: float = 0.0


class TokenBuckets:
    """One bucket per key. Those that are full are forgotten, and the least recently used beyond a number."""

    def __init__(self, window: float, most: int = MAX_BUCKETS) -> None:
        self._window = window
        self._most = most
        self._buckets: dict[Hashable, Bucket] = {}  # the least recently used first

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: Hashable, cost: float, now: float) -> float:
        """Take tokens, or say how many ms later it may be possible; 0 if they were taken.

        What costs more than a whole bucket may take a full one.
        """
        bucket = self._bucket(key, now)
        wait = bucket.full_at - now + min(cost, self._window) - self._window
        if wait > 0:
            return wait
        self._spend(bucket, cost)
        return 0.0

    def reserve(self, key: Hashable, cost: float, now: float) -> float:
        """Take tokens in any case; in how many ms they are there. At most two windows are owed."""
        bucket = self._bucket(key, now)
        wait = bucket.full_at - now + min(cost, self._window) - self._window
        self._spend(bucket, cost)
        bucket.full_at = min(bucket.full_at, now + max(cost, 2 * self._window))
        return max(0.0, wait)

    def owed(self, key: Hashable, now: float) -> float:
        """In how many ms the bucket is full again."""
        bucket = self._buckets.get(key)
        return 0.0 if bucket is None else max(0.0, bucket.full_at - now)

    def due(self, key: Hashable) -> float:
        """The cost to report to other replicas, once it is worth a round trip; it then counts as reported."""
        bucket = self._buckets.get(key)
        if bucket is None or bucket.unshared < self._window / 8:
            return 0.0
        due, bucket.unshared = bucket.unshared, 0.0
        return due

    def owe(self, key: Hashable, full_at: float, now: float) -> None:
        """Other replicas have given tokens of this bucket too: it is full no earlier than then."""
        bucket = self._bucket(key, now)
        bucket.full_at = max(bucket.full_at, full_at)

    @staticmethod
    def _spend(bucket: Bucket, cost: float) -> None:
        bucket.full_at += cost
        bucket.unshared += cost

    def _bucket(self, key: Hashable, now: float) -> Bucket:
        bucket = self._buckets.pop(key, None)
        if bucket is None:
            self._sweep(now)
            bucket = Bucket(now)
        elif bucket.full_at < now:
            bucket.full_at = now
        self._buckets[key] = bucket
        return bucket

    def _sweep(self, now: float) -> None:
        """Before one is added: forget some that are full, the least recently used if there are too many."""
        for _ in range(_SWEPT):
            oldest = next(iter(self._buckets), None)
            if oldest is None or (self._buckets[oldest].full_at > now and len(self._buckets) < self._most):
                return
            del self._buckets[oldest]
