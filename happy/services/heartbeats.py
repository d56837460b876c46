"""What is known in memory about the last sign of life of many sessions or machines."""

from collections.abc import Awaitable, Callable
from typing import Literal

from msgspec import Struct

from happy.domain.ports.clock import Clock
from happy.domain.values import MINUTE, SECOND, AccountId, Millis
from happy.metrics import Metrics

VALID = 30 * SECOND
PERSIST_AFTER = 30 * SECOND
OLDEST = 10 * MINUTE

LastSeen = tuple[Millis, bool]
"""The stored last-active time in ms, and whether the row is active."""
Key = tuple[AccountId, str]


class Known(Struct):
    """A row that is known to be the account's, as stored, until `expires`."""

    last_active_at: Millis
    active: bool
    expires: Millis


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
    ) -> None:
        self._kind = kind
        self._operation = f"{kind}_validation"
        self._metrics = metrics or Metrics()
        self._load = load
        self._clock = clock
        self._known: dict[Key, Known] = {}
        self._pending: dict[Key, Millis] = {}

    def beat_known(self, account_id: AccountId, target: str, at: Millis) -> Millis | None:
        """Note a sign of life of a row that was looked up lately; None if the store has to be asked."""
        now = self._clock()
        key = (account_id, target)
        known = self._known.get(key)
        if known is None or known.expires <= now:
            return None
        self._metrics.validations.add(self._operation, "hit")
        return self._note(key, known, clamp(at, now))

    async def beat(self, account_id: AccountId, target: str, at: Millis) -> Millis | None:
        """Note a sign of life; return its time as clients may see it, or None when there is no such row."""
        seen = self.beat_known(account_id, target, at)
        if seen is not None:
            return seen
        self._metrics.validations.add(self._operation, "miss")
        now = self._clock()
        key = (account_id, target)
        known = await self._refresh(key, now)
        return None if known is None else self._note(key, known, clamp(at, now))

    def _note(self, key: Key, known: Known, at: Millis) -> Millis:
        if not known.active or at - known.last_active_at > PERSIST_AFTER:
            self._pending[key] = max(at, self._pending.get(key, at))
        else:
            self._metrics.skipped.add(self._kind)
        return at

    async def owns(self, account_id: AccountId, target: str) -> bool:
        """Whether the account has such a row."""
        now = self._clock()
        known = self._known.get((account_id, target))
        return (known is not None and known.expires > now) or (
            await self._refresh((account_id, target), now) is not None
        )

    def distrust(self, account_id: AccountId, target: str) -> None:
        """What is stored has changed: look again at the next heartbeat. What waits is still to be written."""
        self._known.pop((account_id, target), None)

    def forget(self, account_id: AccountId, target: str) -> None:
        """Drop what is known and what waits to be written."""
        self._known.pop((account_id, target), None)
        self._pending.pop((account_id, target), None)

    def take(self) -> list[tuple[AccountId, str, Millis]]:
        """All heartbeats that wait to be written. `written` or `restore` must follow."""
        pending, self._pending = self._pending, {}
        return [(account_id, target, at) for (account_id, target), at in pending.items()]

    def written(self, beats: list[tuple[AccountId, str, Millis]]) -> None:
        for account_id, target, at in beats:
            known = self._known.get((account_id, target))
            if known is not None and at > known.last_active_at:
                known.last_active_at = at
                known.active = True

    def restore(self, beats: list[tuple[AccountId, str, Millis]]) -> None:
        """Put back what could not be written, unless something newer waits already."""
        for account_id, target, at in beats:
            self._pending.setdefault((account_id, target), at)

    def purge(self) -> None:
        """Forget rows nobody has spoken of for a while."""
        now = self._clock()
        self._known = {key: known for key, known in self._known.items() if known.expires > now}

    async def _refresh(self, key: Key, now: Millis) -> Known | None:
        stored = await self._load(*key)
        if stored is None:
            self._known.pop(key, None)
            return None
        known = self._known[key] = Known(*stored, expires=Millis(now + VALID))
        return known


def clamp(at: Millis, now: Millis) -> Millis:
    """A client's clock may be wrong: no heartbeat comes from the future or from the distant past."""
    return now if at > now or at < now - OLDEST else at
