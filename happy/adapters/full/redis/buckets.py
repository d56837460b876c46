"""Token buckets in Redis: a key each, which holds the time in ms at which it is full, and expires then."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from happy.adapters.full.redis.link import RedisLink
from happy.adapters.full.redis.scripts import TAKE
from happy.domain.errors import Unavailable
from happy.domain.ports.shared_buckets import OnOwed, Taken

if TYPE_CHECKING:
    from asyncio import Future

Now = Callable[[], float]


class RedisBuckets:
    """Implements `SharedBuckets`, by the clock of Redis unless another one is given."""

    def __init__(self, link: RedisLink, now: Now | None = None) -> None:
        self._link = link
        self._now = now
        self._script = b""

    async def restore(self) -> None:
        """Load the script, after every connect."""
        self._script = await self._link.execute_first("SCRIPT", "LOAD", TAKE)

    async def take(self, key: str, cost: float, window: float) -> Taken:
        try:
            return _taken(await self._request(key, cost, window, forced=False))
        except ResponseError as error:
            raise Unavailable(f"Redis has refused: {error}") from None

    def spend(self, key: str, cost: float, window: float, on_owed: OnOwed) -> None:
        if self._link.up:
            self._request(key, cost, window, forced=True).add_done_callback(partial(_report_owed, on_owed))

    def _request(self, key: str, cost: float, window: float, *, forced: bool) -> "Future[Any]":
        now = "" if self._now is None else repr(self._now())
        name = f"{self._link.prefix}rate:{key}"
        costs = f"{cost:.3f}", f"{window:.3f}"
        return self._link.execute_soon("EVALSHA", self._script, 1, name, *costs, int(forced), now)


def _taken(response: Any) -> Taken:
    granted, owed = response
    return Taken(bool(granted), float(owed))


def _report_owed(on_owed: OnOwed, response: "Future[Any]") -> None:
    if not response.cancelled() and response.exception() is None:
        on_owed(_taken(response.result()).owed)
