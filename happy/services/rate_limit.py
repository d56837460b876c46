"""Refuses requests of addresses and accounts that send too many.

A replica decides by buckets of its own, so that no message and no call waits for others. Where there are
other replicas, requests without a sign-in also take their tokens from a shared bucket, in one round trip;
what accounts take is reported to it in portions of an eighth of a bucket, and its response corrects the
bucket here. So an account gets an eighth more for each replica at most. While the shared buckets are out of
reach, those of each replica go on limiting.
"""

import asyncio
import logging
import sys
from collections.abc import Callable
from functools import partial
from math import ceil

from msgspec import Struct

from happy.domain.client_address import ClientAddress
from happy.domain.errors import TooMany, Unavailable
from happy.domain.ports.clock import Elapsed
from happy.domain.ports.shared_buckets import SharedBuckets
from happy.domain.token_buckets import TokenBuckets
from happy.domain.values import SECOND, AccountId, Millis
from happy.limits import limit
from happy.metrics import Metrics
from happy.rates import OFF, Rate, Rates
from happy.telemetry import LimitedLog

SHARED_SECONDS = 0.5
"""Timeout of the shared buckets in s: after it, what this replica knows decides."""

MANY_CLIENTS = 10
"""An address that many clients share, since their proxy hides them, may send this many times as much."""

LINES_A_MINUTE = 5

PORTIONS = {"messages": 16, "calls": 16, "heartbeats": 8, "bytes": 100_000}

MAX_WAIT_SECONDS = limit(
    5.0,
    "s that an event of an account over its limit waits",
    per="event",
    then="it is processed",
)

log = logging.getLogger(__name__)

GetAddress = Callable[[], ClientAddress]


class Allowance(Struct):
    """What a connection may still do before it takes another portion of its account's tokens."""

    bytes: int = 0
    calls: int = 0
    heartbeats: int = 0
    messages: int = 0


class RateLimit:
    """One kind of request. Tokens are requests, or bytes."""

    def __init__(
        self, kind: str, rate: Rate | None, elapsed: Elapsed, shared: SharedBuckets | None, metrics: Metrics
    ) -> None:
        self._kind = kind
        self.portion = max(1, min(PORTIONS.get(kind, 1), int(rate.burst / 8))) if rate else sys.maxsize
        """Tokens that a connection takes at once, so that it uses its account's bucket seldom."""

        self._token = rate.token if rate else 0.0
        self._window = rate.window if rate else 0.0
        self._buckets = TokenBuckets(self._window) if rate else None
        self._elapsed = elapsed
        self._shared = shared
        self._metrics = metrics
        self._log = LimitedLog(log, f"too many {kind.replace('_', ' ')}", burst=LINES_A_MINUTE)

    def _refused(self, who: str, wait: float, text: str | None) -> TooMany:
        self._metrics.rate_limited.add(self._kind)
        self._log(f"of {who}")
        seconds = max(1, ceil(wait / SECOND))
        what = self._kind.replace("_", " ")
        return TooMany(text or f"Too many {what}. Try again in {seconds} s.", seconds)

    def _share(self, buckets: TokenBuckets, key: str) -> None:
        """Report to the shared bucket what was taken here, once that is worth a round trip."""
        if self._shared is not None and (due := buckets.due(key)):
            on_owed = partial(self._correct, buckets, key)
            self._shared.spend(f"{self._kind}:{key}", due, self._window, on_owed)

    def _correct(self, buckets: TokenBuckets, key: str, owed: float) -> None:
        now = self._elapsed()
        buckets.owe(key, now + owed, now)


class AddressLimit(RateLimit):
    """Counts by the client's address; processes of this machine that use no proxy are not limited."""

    async def take(self, client: ClientAddress) -> None:
        """One token, of all replicas. Raises TooMany."""
        cost = self._cost(client)
        if self._buckets is None or not cost:
            return
        wait = self._buckets.take(client.network, cost, self._elapsed())
        if not wait and self._shared is not None:
            wait = await self._take_shared(self._shared, self._buckets, client.network, cost)
        if wait:
            raise self._refused(client.network, wait, None)

    def take_now(self, client: ClientAddress) -> None:
        """The same without a round trip. Raises TooMany."""
        cost = self._cost(client)
        if self._buckets is None or not cost:
            return
        if wait := self._buckets.take(client.network, cost, self._elapsed()):
            raise self._refused(client.network, wait, None)
        self._share(self._buckets, client.network)

    def _cost(self, client: ClientAddress) -> float:
        if client.local:
            return 0.0
        return self._token / MANY_CLIENTS if client.shared else self._token

    async def _take_shared(
        self, shared: SharedBuckets, buckets: TokenBuckets, key: str, cost: float
    ) -> float:
        """How many ms to wait, 0 if the token was given."""
        try:
            async with asyncio.timeout(SHARED_SECONDS):
                taken = await shared.take(f"{self._kind}:{key}", cost, self._window)
        except (Unavailable, TimeoutError):
            return 0.0
        if taken.granted:
            return 0.0
        self._correct(buckets, key, taken.owed)
        return max(1.0, taken.owed + cost - self._window)


class AccountLimit(RateLimit):
    """Counts by account, without a round trip. `get_address` is called where a request would be refused."""

    def take(
        self,
        account_id: AccountId,
        tokens: float = 1,
        get_address: GetAddress | None = None,
        text: str | None = None,
    ) -> None:
        """Raises TooMany with `text`, unless `get_address` is a process of this machine."""
        buckets = self._buckets
        if buckets is None:
            return
        wait = buckets.take(account_id, tokens * self._token, self._elapsed())
        if not wait:
            self._share(buckets, account_id)
        elif get_address is None or not get_address().local:
            raise self._refused(f"account {account_id}", wait, text)

    def take_portion(self, account_id: AccountId, get_address: GetAddress) -> int:
        """At least one token; returns how many the connection has got. Raises TooMany."""
        buckets = self._buckets
        if buckets is None:
            return self.portion
        if not buckets.take(account_id, self.portion * self._token, self._elapsed()):
            self._share(buckets, account_id)
            return self.portion
        if get_address().local:
            return self.portion
        self.take(account_id, 1)
        return 1

    def reserve(self, account_id: AccountId, tokens: float, get_address: GetAddress) -> float:
        """For what cannot be refused: in how many s it may be done."""
        buckets = self._buckets
        if buckets is None:
            return 0.0
        wait = buckets.reserve(account_id, tokens * self._token, self._elapsed())
        self._share(buckets, account_id)
        if not wait or get_address().local:
            return 0.0
        self._refused(f"account {account_id}", wait, None)
        return min(wait / SECOND, MAX_WAIT_SECONDS)


class RateLimits:
    """The limits of all kinds; without arguments, there are none."""

    def __init__(
        self,
        rates: Rates = OFF,
        elapsed: Elapsed | None = None,
        shared: SharedBuckets | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        elapsed, metrics = elapsed or (lambda: Millis(0)), metrics or Metrics()
        rest = (elapsed, shared, metrics)
        self.sign_ins = AddressLimit("sign_ins", rates.sign_ins, *rest)
        self.accounts = AddressLimit("accounts", rates.accounts, *rest)
        self.links = AddressLimit("links", rates.links, *rest)
        self.polls = AddressLimit("polls", rates.polls, *rest)
        self.connects = AddressLimit("connects", rates.connects, *rest)
        self.messages = AccountLimit("messages", rates.messages, *rest)
        self.bytes = AccountLimit("bytes", rates.bytes, *rest)
        self.calls = AccountLimit("calls", rates.calls, *rest)
        self.heartbeats = AccountLimit("heartbeats", rates.heartbeats, *rest)
        self.uploads = AccountLimit("uploads", rates.uploads, *rest)
        # An upload is asked for once, and stored once: by the replica whose disk it is.
        self.stored_uploads = AccountLimit("uploads", rates.uploads, elapsed, None, metrics)
        self.pushes = AccountLimit("pushes", rates.pushes, *rest)
        self.friends = AccountLimit("friends", rates.friends, *rest)
        self.searches = AccountLimit("searches", rates.searches, *rest)
