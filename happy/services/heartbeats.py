"""A cache of sessions or machines in front of the store, and the queue of heartbeats to store."""

from asyncio import Event
from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

from msgspec import Struct

from happy.domain.ports.clock import Clock
from happy.domain.values import FUTURE_AFTER, MINUTE, SECOND, AccountId, Millis
from happy.limits import limit
from happy.metrics import Metrics

VALID = 30 * SECOND
PERSIST_AFTER = 30 * SECOND
OLDEST = 10 * MINUTE

MAX_KNOWN = limit(
    50_000,
    "sessions, and machines, whose heartbeats are checked without the database",
    per="replica",
    then="the one checked first is looked up again",
)

LastSeen = tuple[Millis, bool]
"""The stored last-active time in ms, and whether the row is active."""
Key = tuple[AccountId, str]


class Beat(NamedTuple):
    """A heartbeat: the time it names, by its client's clock, and when it was received, by the server's."""

    account_id: AccountId
    target: str
    at: Millis
    received: Millis


class Known(Struct):
    """Cache entry of a row of the account, valid until `expires`, and the row's last heartbeat."""

    last_active_at: Millis
    active: bool
    expires: Millis
    last: Beat | None = None

    def is_fresh(self, now: Millis) -> bool:
        """False also after the clock was set back, so that the entry is not valid for long."""
        return self.expires - VALID <= now < self.expires


class Heartbeats:
    """Checks heartbeats against the store every 30 s at most, and queues those worth storing.

    One is worth storing when it is more than 30 s newer than what is stored, or when the row is inactive.
    """

    def __init__(
        self,
        load: Callable[[AccountId, str], Awaitable[LastSeen | None]],
        clock: Clock,
        kind: Literal["session", "machine"] = "session",
        metrics: Metrics | None = None,
        revived: Event | None = None,
    ) -> None:
        """`revived` is set at the first heartbeat of a row that is stored as inactive."""
        self._kind = kind
        self._operation = f"{kind}_validation"
        self._metrics = metrics or Metrics()
        self._load = load
        self._clock = clock
        self._known: dict[Key, Known] = {}
        self._pending: dict[Key, Beat] = {}
        self._invalidations = 0
        self._revived = revived or Event()

    def beat_known(self, account_id: AccountId, target: str, at: Millis) -> Millis | None:
        """Accept a heartbeat of a cached row; None on a cache miss."""
        now = self._clock()
        key = (account_id, target)
        known = self._known.get(key)
        if known is None or not known.is_fresh(now):
            return None
        self._metrics.validations.add(self._operation, "hit")
        return self._note(known, Beat(account_id, target, clamp(at, now), now))

    async def beat(self, account_id: AccountId, target: str, at: Millis) -> Millis | None:
        """Accept a heartbeat; return its time as announced to clients, or None when there is no such row."""
        seen = self.beat_known(account_id, target, at)
        if seen is not None:
            return seen
        self._metrics.validations.add(self._operation, "miss")
        now = self._clock()
        key = (account_id, target)
        known = await self._refresh(key, now)
        return None if known is None else self._note(known, Beat(account_id, target, clamp(at, now), now))

    def is_stored_active(self, account_id: AccountId, target: str) -> bool:
        """Whether the cached row is active in the store; False if none is cached."""
        known = self._known.get((account_id, target))
        return known is not None and known.active

    def _note(self, known: Known, beat: Beat) -> Millis:
        if known.last is None or beat.at >= known.last.at:
            known.last = beat
        if not known.active and (beat.account_id, beat.target) not in self._pending:
            self._revived.set()
        late = beat.at - known.last_active_at
        if not known.active or late > PERSIST_AFTER or late < -FUTURE_AFTER:
            self._queue(beat)
        else:
            self._metrics.skipped.add(self._kind)
        return beat.at

    def _queue(self, beat: Beat) -> None:
        waiting = self._pending.get((beat.account_id, beat.target))
        at = beat.at if waiting is None else max(beat.at, waiting.at)
        self._pending[beat.account_id, beat.target] = beat._replace(at=at)

    def queue_last(self, account_id: AccountId, target: str) -> None:
        """Queue the last heartbeat, even if it is hardly newer than what is stored."""
        known = self._known.get((account_id, target))
        if known is not None and known.last is not None and known.last.at > known.last_active_at:
            self._queue(known.last)

    def invalidate(self, account_id: AccountId, target: str) -> None:
        """Invalidate the cache entry: the stored row has changed. Queued heartbeats remain queued."""
        self._known.pop((account_id, target), None)
        self._invalidations += 1

    def forget(self, account_id: AccountId, target: str) -> None:
        """Drop the cache entry and the queued heartbeat."""
        self._known.pop((account_id, target), None)
        self._pending.pop((account_id, target), None)

    def take(self) -> list[Beat]:
        """Take all queued heartbeats. `written` or `restore` must follow."""
        pending, self._pending = self._pending, {}
        return list(pending.values())

    def written(self, beats: list[Beat]) -> None:
        for beat in beats:
            known = self._known.get((beat.account_id, beat.target))
            if known is not None:
                is_future = known.last_active_at > beat.at + FUTURE_AFTER
                known.last_active_at = beat.at if is_future else max(beat.at, known.last_active_at)
                known.active = True

    def restore(self, beats: list[Beat]) -> None:
        """Queue again what could not be stored, unless something newer is queued."""
        for beat in beats:
            self._pending.setdefault((beat.account_id, beat.target), beat)

    def purge(self) -> None:
        """Evict expired cache entries."""
        now = self._clock()
        self._known = {key: known for key, known in self._known.items() if known.is_fresh(now)}

    async def _refresh(self, key: Key, now: Millis) -> Known | None:
        invalidations = self._invalidations
        stored = await self._load(*key)
        if stored is None:
            self._known.pop(key, None)
            return None
        # A row that another replica changed during the lookup may have been read before the change.
        valid = VALID if invalidations == self._invalidations else 0
        self._known.pop(key, None)
        known = self._known[key] = Known(*stored, expires=Millis(now + valid))
        if len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]
        return known


def clamp(at: Millis, now: Millis) -> Millis:
    """Replace times in the future or more than 10 minutes ago by now: the client's clock is wrong."""
    return now if at > now or at < now - OLDEST else at
