"""Socket.IO's connection state recovery: clients that lost their connection take up where they were."""

import asyncio
import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from weakref import WeakValueDictionary

from happy.domain.values import AccountId, ConnectionId
from happy.gateway.handshake import Handshake
from happy.gateway.recovery.cluster import ClusterRecovery, HistoryGap
from happy.gateway.recovery.cursors import Cursors
from happy.gateway.recovery.history import Event, History, HistoryLimits, Reader, heard_with
from happy.gateway.recovery.session import RecoverableSession
from happy.metrics import Metrics
from happy.settings import RecoverySettings

TAKEOVER_SECONDS = 5.0
"""How long a client that is back waits for the end of its former connection."""

MAX_LOST = 50_000
"""Clients that are waited for at a time."""


class Recovery:
    """Pasts of connections here, and of lost ones for `window` seconds; others are found `elsewhere`."""

    def __init__(
        self,
        history: History,
        window: float,
        metrics: Metrics | None = None,
        now: Callable[[], float] = time.monotonic,
        elsewhere: ClusterRecovery | None = None,
    ) -> None:
        self.window = window
        self.cursors = Cursors()
        self._history = history
        self._metrics = metrics or Metrics()
        self._now = now
        self._elsewhere = elsewhere
        self._pasts: dict[str, RecoverableSession] = {}
        self._by_connection: dict[ConnectionId, RecoverableSession] = {}
        self._lost: OrderedDict[str, RecoverableSession] = OrderedDict()  # the longest gone first
        self._awaited: Counter[AccountId] = Counter()
        self._claims: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def awaits(self, account_id: AccountId) -> bool:
        """Whether a lost client of the account may still come back."""
        self._expire()
        return account_id in self._awaited

    def note(self, account_id: AccountId, event: Event) -> bytes:
        """Keep an event for those who miss it; the packet to be sent."""
        mark = "" if self._elsewhere is None else self._elsewhere.mark(account_id)
        cursor = self.cursors.after(account_id, event.audience.target, event.payload)
        return self._history.append(account_id, event, mark, cursor)

    def interrupt(self, account_id: AccountId) -> None:
        """Events of the account were lost on their way here: its clients must read again."""
        self._history.interrupt(account_id)

    def forget(self, account_id: AccountId) -> None:
        """The account has no connection here, and is not awaited."""
        self._history.forget(account_id)
        self.cursors.forget(account_id)

    # Coming

    def begin(
        self, account_id: AccountId, connection_id: ConnectionId, asked: Handshake, close: Callable[[], None]
    ) -> RecoverableSession:
        """The past of a connection that has none; `close` ends it if its client comes once more."""
        past = RecoverableSession("", account_id, connection_id, asked.scope, asked.target)
        past.close, past.heard = close, heard_with(asked.offset)
        self._start(past)
        return past

    def _start(self, past: RecoverableSession) -> None:
        """From here on its client misses nothing, and it knows that by a new private id."""
        past.start, past.visitor = self._history.position, False
        past.pid = secrets.token_urlsafe(15)
        if self._elsewhere is not None:
            past.since = self._elsewhere.clock()
            past.pid = self._elsewhere.private_id(
                past.account_id, past.connection_id, past.scope, past.target
            )
        self._remember(past)

    async def claim(
        self, account_id: AccountId, asked: Handshake, close: Callable[[], None]
    ) -> RecoverableSession | None:
        """The past of a client that is back; its former connection here, if there is one still, has ended.

        The account is watched. The caller calls `release` when the connection is over. `close` ends it if the
        client comes once more.
        """
        if not asked.pid:
            return None
        lock = self._claims.setdefault(asked.pid, asyncio.Lock())
        async with lock:  # a client that tries several times at once gets in by the last one
            past, result = await self._claim(account_id, asked)
            if past is None:
                self._metrics.recoveries.add(result)
                return None
            self._found(past)
            past.close = close
            if self._elsewhere is not None:
                self._elsewhere.returned(past.connection_id)
            return past

    async def _claim(self, account_id: AccountId, asked: Handshake) -> tuple[RecoverableSession | None, str]:
        former = self._find(account_id, asked)
        if former is not None:
            try:
                async with asyncio.timeout(TAKEOVER_SECONDS):
                    await former.until_free()
            except TimeoutError:
                return None, "unknown"
            if self._find(account_id, asked) is not former and not former.moved:  # it left in order after all
                return None, "unknown"
            if self._is_local(former, asked):
                return self._claim_here(former, asked)
        if self._elsewhere is None:
            return None, "unknown"
        return await self._claim_elsewhere(self._elsewhere, account_id, asked)

    def _is_local(self, past: RecoverableSession, asked: Handshake) -> bool:
        """Whether the history of this node tells what the client missed."""
        if self._elsewhere is None:
            return True
        if past.moved:
            return False
        number = self._history.number(asked.offset)
        if past.visitor:  # an offset from before its visit says nothing of what it was told then
            return number is not None and number > past.start
        return number is not None or not asked.offset

    def _claim_here(
        self, past: RecoverableSession, asked: Handshake
    ) -> tuple[RecoverableSession | None, str]:
        if self._missed(past, asked) is None:
            self._drop(past)
            return None, "overflow"
        past.returning = True
        self._awaited[past.account_id] += 1
        return past, ""

    async def _claim_elsewhere(
        self, elsewhere: ClusterRecovery, account_id: AccountId, asked: Handshake
    ) -> tuple[RecoverableSession | None, str]:
        self._awaited[account_id] += 1  # what is heard from now on is kept for this client
        visit, result = None, "unknown"
        try:
            visit = await elsewhere.find(account_id, asked, self._history)
        except HistoryGap:
            result = "overflow"
        finally:
            if visit is None:
                self._await_less(account_id)
        if visit is None:
            return None, result
        past = RecoverableSession(asked.pid, account_id, visit.connection_id, asked.scope, asked.target)
        past.start, past.visitor, past.visit, past.heard = visit.start, True, visit, visit.heard
        past.returning = True
        self._remember(past)
        return past, ""

    def resume(self, past: RecoverableSession, asked: Handshake) -> list[bytes]:
        """What the client missed up to now. If that is gone, a new id of the past tells the client."""
        packets = self._missed(past, asked)
        self._returned(past)
        if packets is not None:
            self._metrics.recoveries.add("recovered")
            return packets
        self._metrics.recoveries.add("overflow")
        self._drop(past)
        self._start(past)
        return []

    def _missed(self, past: RecoverableSession, asked: Handshake) -> list[bytes] | None:
        told = self._history.number(asked.offset) or 0
        visit = past.visit
        reader = Reader(
            past.account_id,
            past.connection_id,
            past.scope,
            past.target,
            past.start if visit else max(past.start, told),
            0.0 if visit else past.last_acknowledged,
            past.since,
            past.heard,
            asked.reads_messages,
        )
        packets = self._history.missed(reader)
        return packets if visit is None or packets is None else visit.packets + packets

    def _find(self, account_id: AccountId, asked: Handshake) -> RecoverableSession | None:
        self._expire()
        past = self._pasts.get(asked.pid)
        return past if past is not None and past.belongs_to(account_id, asked) else None

    # Going

    def lost(self, past: RecoverableSession, last_acknowledged: float) -> None:
        """The connection is gone; its client may return. It has what was sent before `last_acknowledged`."""
        if past.moved:
            return
        past.last_acknowledged = max(past.last_acknowledged, last_acknowledged)
        if past.pid not in self._lost:
            past.lost_at = self._now()
            self._lost[past.pid] = past
            self._awaited[past.account_id] += 1
        if self._elsewhere is not None:
            self._elsewhere.lost(past.connection_id, self._told_for_certain(self._elsewhere, past))
        self._expire()

    def _told_for_certain(self, elsewhere: ClusterRecovery, past: RecoverableSession) -> str:
        """How far the client has heard, whatever its last offset is: it may be quiet in a busy account."""
        if not past.last_acknowledged:
            return ""
        mark = self._history.mark_before(past.account_id, past.last_acknowledged)
        return elsewhere.mark(past.account_id) if mark is None else mark

    def left(self, past: RecoverableSession) -> None:
        """The client said goodbye."""
        self._drop(past)
        if self._elsewhere is not None:
            self._elsewhere.left(past.connection_id)

    def moved(self, account_id: AccountId, connection_id: ConnectionId) -> None:
        """Another node has the client now; a connection that it may still have here is closed."""
        past = self._by_connection.get(connection_id)
        if past is None or past.account_id != account_id:
            return
        past.moved = True
        self._drop(past)
        if past.close is not None:
            past.close()

    def release(self, past: RecoverableSession) -> None:
        """The connection that had this past is over in every respect."""
        self._returned(past)
        past.release()

    def _expire(self) -> None:
        oldest = self._now() - self.window
        while self._lost:
            past = next(iter(self._lost.values()))
            if past.lost_at is not None and past.lost_at >= oldest and len(self._lost) <= MAX_LOST:
                break
            self._drop(past)

    def _remember(self, past: RecoverableSession) -> None:
        former = self._pasts.get(past.pid)
        if former is not None and former is not past:
            self._drop(former)
        self._pasts[past.pid] = self._by_connection[past.connection_id] = past

    def _returned(self, past: RecoverableSession) -> None:
        if past.visit is not None:
            past.visit, past.start = None, self._history.position
        if past.returning:
            past.returning = False
            self._await_less(past.account_id)

    def _found(self, past: RecoverableSession) -> None:
        if self._lost.pop(past.pid, None) is None:
            return
        past.lost_at = None
        self._await_less(past.account_id)

    def _await_less(self, account_id: AccountId) -> None:
        self._awaited[account_id] -= 1
        if not self._awaited[account_id]:
            del self._awaited[account_id]

    def _drop(self, past: RecoverableSession) -> None:
        self._found(past)
        if self._pasts.get(past.pid) is past:
            del self._pasts[past.pid]
        if self._by_connection.get(past.connection_id) is past:
            del self._by_connection[past.connection_id]


def build_recovery(
    settings: RecoverySettings, metrics: Metrics, elsewhere: ClusterRecovery | None = None
) -> Recovery | None:
    """Connection state recovery, unless it is switched off."""
    if not settings.seconds:
        return None
    limits = HistoryLimits(
        keep_seconds=settings.kept_seconds,
        account_bytes=settings.account_bytes,
        total_bytes=settings.total_bytes,
    )
    history = History(limits)
    metrics.gauges.history_bytes = lambda: history.size
    return Recovery(history, settings.seconds, metrics, elsewhere=elsewhere)
