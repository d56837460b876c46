"""Token buckets that all replicas share; times and costs are those of `happy.domain.token_buckets`."""

from collections.abc import Callable
from typing import NamedTuple, Protocol


class Taken(NamedTuple):
    """Whether tokens were taken, and in how many ms the bucket will be full again."""

    granted: bool
    owed: float


OnOwed = Callable[[float], None]
"""Gets the `owed` of a bucket in ms."""


class SharedBuckets(Protocol):
    async def take(self, key: str, cost: float, window: float) -> Taken:
        """Take tokens if the bucket holds enough, or is full. Raises Unavailable."""
        ...

    def spend(self, key: str, cost: float, window: float, on_owed: OnOwed) -> None:
        """Take tokens that were given away already, without waiting; at most two windows are owed.

        `on_owed` is called unless there is an outage.
        """
        ...
