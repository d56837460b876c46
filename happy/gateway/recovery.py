"""Socket.IO's connection state recovery: clients that lost their connection take up where they were."""

import asyncio
import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Callable

from happy.domain.events import Audience, Scope
from happy.domain.values import AccountId, ConnectionId
from happy.gateway.handshake import Handshake
from happy.gateway.history import History, HistoryLimits, MemoryHistory, Reader
from happy.metrics import Metrics
from happy.settings import RecoverySettings

NOTICED_SECONDS = 120
"""A lost link is noticed within an interval and a time-out of the ping, if large packets do not delay it."""

TAKEOVER_SECONDS = 5.0
"""How long a client that is back waits for the end of its former connection."""

MOST_LOST = 50_000
"""Clients that are waited for at a time."""


class Past:
    """What a client keeps when it loses its connection. `pid` is its secret, the connection's id is not."""

    __slots__ = (
        "account_id",
        "close",
        "confirmed",
        "connection_id",
        "freed",
        "lost_at",
        "pid",
        "scope",
        "start",
        "target",
    )

    def __init__(
        self, account_id: AccountId, connection_id: ConnectionId, scope: Scope, target: str, start: int
    ) -> None:
        self.pid = secrets.token_urlsafe(15)
        self.account_id = account_id
        self.connection_id = connection_id
        self.scope = scope
        self.target = target
        self.start = start  # what was published before is not its business
        self.confirmed = 0.0  # what was sent before this moment has arrived
        self.lost_at: float | None = None
        self.close: Callable[[], None] | None = None  # ends the connection that has this past now
        self.freed: asyncio.Event | None = None  # set when no connection has it

    def belongs_to(self, account_id: AccountId, asked: Handshake) -> bool:
        """Whoever comes back must be who left."""
        return (self.account_id, self.scope, self.target) == (account_id, asked.scope, asked.target)


class Recovery:
    """Pasts of connections here, and of lost ones for `window` seconds."""

    def __init__(
        self,
        history: History,
        window: float,
        metrics: Metrics | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.window = window
        self._history = history
        self._metrics = metrics or Metrics()
        self._now = now
        self._pasts: dict[str, Past] = {}
        self._lost: OrderedDict[str, Past] = OrderedDict()  # the longest gone first
        self._awaited: Counter[AccountId] = Counter()

    def awaits(self, account_id: AccountId) -> bool:
        """Whether a lost client of the account may still come back."""
        self._expire()
        return account_id in self._awaited

    def note(
        self, account_id: AccountId, audience: Audience, skip: ConnectionId | None, name: str, payload: bytes
    ) -> str:
        """Keep an event for those who miss it; the packet to be sent."""
        return self._history.append(account_id, audience, skip, name, payload)

    def interrupt(self, account_id: AccountId) -> None:
        """Events of the account were lost on their way here: its clients must read again."""
        self._history.interrupt(account_id)

    def forget(self, account_id: AccountId) -> None:
        """The account has no connection here, and is not awaited."""
        self._history.forget(account_id)

    # Coming

    def begin(
        self,
        account_id: AccountId,
        connection_id: ConnectionId,
        asked: Handshake,
        close: Callable[[], None],
    ) -> Past:
        """The past of a connection that has none; `close` ends it if its client comes once more."""
        past = Past(account_id, connection_id, asked.scope, asked.target, self._history.position)
        past.close = close
        self._pasts[past.pid] = past
        return past

    async def claim(self, account_id: AccountId, asked: Handshake, close: Callable[[], None]) -> Past | None:
        """The past of a client that is back; its former connection, if there is one still, has ended.

        The caller calls `release` when the connection is over. `close` ends it if the client comes once more.
        """
        past = self._find(account_id, asked)
        if past is None:
            self._count("unknown" if asked.pid else None)
            return None
        try:
            async with asyncio.timeout(TAKEOVER_SECONDS):
                while past.close is not None:
                    past.close()
                    past.freed = past.freed or asyncio.Event()
                    await past.freed.wait()
        except TimeoutError:
            self._count("unknown")
            return None
        if self._find(account_id, asked) is not past:  # it left in order after all
            self._count("unknown")
            return None
        if self._missed(past, asked) is None:
            self._count("overflow")
            self._drop(past)
            return None
        self._found(past)
        past.close = close
        return past

    def resume(self, past: Past, asked: Handshake) -> list[str]:
        """What the client missed up to now. If that is gone, a new id of the past tells the client."""
        packets = self._missed(past, asked)
        if packets is not None:
            self._count("recovered")
            return packets
        self._count("overflow")
        self._drop(past)
        past.pid = secrets.token_urlsafe(15)
        past.start = self._history.position
        self._pasts[past.pid] = past
        return []

    def _missed(self, past: Past, asked: Handshake) -> list[str] | None:
        told = self._history.number(asked.offset) or 0
        reader = Reader(
            past.account_id,
            past.connection_id,
            past.scope,
            past.target,
            max(past.start, told),
            past.confirmed,
        )
        return self._history.missed(reader)

    def _find(self, account_id: AccountId, asked: Handshake) -> Past | None:
        self._expire()
        past = self._pasts.get(asked.pid)
        return past if past is not None and past.belongs_to(account_id, asked) else None

    # Going

    def lost(self, past: Past, confirmed: float) -> None:
        """The connection is gone, and the client may come back. It has what was sent before `confirmed`."""
        past.confirmed = max(past.confirmed, confirmed)
        if past.pid not in self._lost:
            past.lost_at = self._now()
            self._lost[past.pid] = past
            self._awaited[past.account_id] += 1
        self._expire()

    def left(self, past: Past) -> None:
        """The client said goodbye."""
        self._drop(past)

    def release(self, past: Past) -> None:
        """The connection that had this past is over in every respect."""
        past.close = None
        if past.freed is not None:
            past.freed.set()
            past.freed = None

    def _expire(self) -> None:
        oldest = self._now() - self.window
        while self._lost:
            past = next(iter(self._lost.values()))
            if past.lost_at is not None and past.lost_at >= oldest and len(self._lost) <= MOST_LOST:
                break
            self._drop(past)

    def _found(self, past: Past) -> None:
        if self._lost.pop(past.pid, None) is None:
            return
        past.lost_at = None
        self._awaited[past.account_id] -= 1
        if not self._awaited[past.account_id]:
            del self._awaited[past.account_id]

    def _drop(self, past: Past) -> None:
        self._found(past)
        self._pasts.pop(past.pid, None)

    def _count(self, result: str | None) -> None:
        if result is not None:
            self._metrics.recoveries.add(result)


def build_recovery(settings: RecoverySettings, metrics: Metrics) -> Recovery | None:
    """Connection state recovery, unless it is switched off."""
    if not settings.seconds:
        return None
    limits = HistoryLimits(
        keep_seconds=settings.seconds + NOTICED_SECONDS,
        account_bytes=settings.account_bytes,
        total_bytes=settings.total_bytes,
    )
    history = MemoryHistory(limits)
    metrics.gauges.history_bytes = lambda: history.size
    return Recovery(history, settings.seconds, metrics)
