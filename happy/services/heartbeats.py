"""What is known in memory about the last sign of life of many sessions or machines."""

from asyncio import Event
from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

from msgspec import Struct

from happy.domain.ports.clock import Clock
from happy.domain.values import FUTURE_AFTER, MINUTE, SECOND, AccountId, Millis
from happy.metrics import Metrics

VALID = 30 * SECOND
PERSIST_AFTER = 30 * SECOND
OLDEST = 10 * MINUTE

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
    """A row that is known to be the account's, as stored, until `expires`; and its last heartbeat."""

    last_active_at: Millis
    active: bool
    expires: Millis
    last: Beat | None = None

    def is_fresh(self, now: Millis) -> bool:
        """After the clock was set back it is looked up again at once, not when that time comes once more."""
        return self.expires - VALID <= now < self.expires


class Heartbeats:
    """Checks heartbeats against the store at most every 30 s and collects those worth writing down.

    A heartbeat is worth it when it is more than 30 s newer than what is stored, or when the row is inactive.
    """

    def __init__(
        self,
        load: Callable[[AccountId, str], Awaitable[LastSeen | None]],
        clock: Clock,
        kind: Literal["session", "machine"] = "session",
        metrics: Metrics | None = None,
        revived: Event | None = None,
    ) -> None:
        """`revived` is set when a row that is stored as inactive sends a heartbeat, as clients are told."""
        self._kind = kind
        self._operation = f"{kind}_validation"
        self._metrics = metrics or Metrics()
        self._load = load
        self._clock = clock
        self._known: dict[Key, Known] = {}
        self._pending: dict[Key, Beat] = {}
        self._distrusted = 0
        self._revived = revived or Event()

    def beat_known(self, account_id: AccountId, target: str, at: Millis) -> Millis | None:
        """Note a sign of life of a row that was looked up lately; None if the store has to be asked."""
        now = self._clock()
        key = (account_id, target)
        known = self._known.get(key)
        if known is None or not known.is_fresh(now):
            return None
        self._metrics.validations.add(self._operation, "hit")
        return self._note(known, Beat(account_id, target, clamp(at, now), now))

    async def beat(self, account_id: AccountId, target: str, at: Millis) -> Millis | None:
        """Note a sign of life; return its time as clients may see it, or None when there is no such row."""
        seen = self.beat_known(account_id, target, at)
        if seen is not None:
            return seen
        self._metrics.validations.add(self._operation, "miss")
        now = self._clock()
        key = (account_id, target)
        known = await self._refresh(key, now)
        return None if known is None else self._note(known, Beat(account_id, target, clamp(at, now), now))

    def _note(self, known: Known, beat: Beat) -> Millis:
        if known.last is None or beat.at >= known.last.at:
            known.last = beat
        if not known.active and (beat.account_id, beat.target) not in self._pending:
            self._revived.set()
        late = beat.at - known.last_active_at
        if not known.active or late > PERSIST_AFTER or late < -FUTURE_AFTER:
            self._keep(beat)
        else:
            self._metrics.skipped.add(self._kind)
        return beat.at

    def _keep(self, beat: Beat) -> None:
        waiting = self._pending.get((beat.account_id, beat.target))
        at = beat.at if waiting is None else max(beat.at, waiting.at)
        self._pending[beat.account_id, beat.target] = beat._replace(at=at)

    def keep_last(self, account_id: AccountId, target: str) -> None:
        """Write down the last heartbeat, even if it is hardly newer than what is stored."""
        known = self._known.get((account_id, target))
        if known is not None and known.last is not None and known.last.at > known.last_active_at:
            self._keep(known.last)

    def distrust(self, account_id: AccountId, target: str) -> None:
        """What is stored has changed: look again at the next heartbeat. What waits is still to be written."""
        self._known.pop((account_id, target), None)
        self._distrusted += 1

    def forget(self, account_id: AccountId, target: str) -> None:
        """Drop what is known and what waits to be written."""
        self._known.pop((account_id, target), None)
        self._pending.pop((account_id, target), None)

    def take(self) -> list[Beat]:
        """All heartbeats that wait to be written. `written` or `restore` must follow."""
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
        """Put back what could not be written, unless something newer waits already."""
        for beat in beats:
            self._pending.setdefault((beat.account_id, beat.target), beat)

    def purge(self) -> None:
        """Forget rows nobody has spoken of for a while."""
        now = self._clock()
        self._known = {key: known for key, known in self._known.items() if known.is_fresh(now)}

    async def _refresh(self, key: Key, now: Millis) -> Known | None:
        distrusted = self._distrusted
        stored = await self._load(*key)
        if stored is None:
            self._known.pop(key, None)
            return None
        # What another replica has changed meanwhile may not be in it.
        valid = VALID if distrusted == self._distrusted else 0
        known = self._known[key] = Known(*stored, expires=Millis(now + valid))
        return known


def clamp(at: Millis, now: Millis) -> Millis:
    """A client's clock may be wrong: no heartbeat comes from the future or from the distant past."""
    return now if at > now or at < now - OLDEST else at
