"""Connection state recovery: the sessions of this replica, claims by reconnecting clients, and replays.

protocol: realtime#recovery
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from weakref import WeakValueDictionary

from happy.domain.ports.delivery import NotDelivered
from happy.domain.values import AccountId, ConnectionId
from happy.gateway.delivery import DeliveryReport, RecoveryRefused
from happy.gateway.handshake import Handshake
from happy.gateway.recovery.cluster import ClusterRecovery
from happy.gateway.recovery.cursor_offsets import with_cursors
from happy.gateway.recovery.cursors import Cursors
from happy.gateway.recovery.history import Event, History, RecoveryCursor, received_with
from happy.gateway.recovery.limits import HistoryLimits
from happy.gateway.recovery.registry import SessionRegistry
from happy.gateway.recovery.session import RecoverableSession, SessionState
from happy.settings import RecoverySettings

TAKEOVER_SECONDS = 5.0
"""How long a reconnecting client waits for the cleanup of its former connection."""

HISTORY_GAPS = frozenset(
    {NotDelivered.HISTORY_GAP, NotDelivered.POSITION_UNKNOWN, NotDelivered.REDIS_UNAVAILABLE}
)
"""Refusals that `realtime_recoveries_total` counts as `overflow`; it counts others as `unknown`."""


class Recovery:
    """Recoverable sessions of connections here, and of lost ones for `window` seconds.

    Sessions of other replicas are found through `cluster`, where there are other replicas.
    """

    def __init__(
        self,
        history: History,
        window: float,
        report: DeliveryReport | None = None,
        now: Callable[[], float] = time.monotonic,
        cluster: ClusterRecovery | None = None,
    ) -> None:
        self.window = window
        self.cursors = Cursors()
        self._history = history
        self._report = report or DeliveryReport()
        self._cluster = cluster
        self._sessions = SessionRegistry(window, self._report, now)
        self._claims: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._moved: WeakValueDictionary[ConnectionId, RecoverableSession] = WeakValueDictionary()

    @property
    def history_bytes(self) -> int:
        """Memory of the history."""
        return self._history.size

    def awaits(self, account_id: AccountId) -> bool:
        """Whether a lost client of the account may still be replayed what is published now."""
        return self._sessions.awaits(account_id)

    def record(self, account_id: AccountId, event: Event) -> bytes:
        """Keep an event for replays; returns the packet to be sent now."""
        position = "" if self._cluster is None else self._cluster.position_text(account_id)
        cursor = self.cursors.after(account_id, event.audience.target, event.payload)
        return self._history.append(account_id, event, position, cursor)

    def resync(self, account_id: AccountId) -> None:
        """Events of the account were lost on their way here: no lost client of it can be recovered."""
        self._history.resync(account_id)

    def forget(self, account_id: AccountId) -> None:
        """The account has no connection here, and no lost one that may be recovered."""
        self._history.forget(account_id)
        self.cursors.forget(account_id)

    # New and reconnecting clients

    def begin(
        self,
        account_id: AccountId,
        connection_id: ConnectionId,
        handshake: Handshake,
        close: Callable[[], None],
    ) -> RecoverableSession:
        """The session of a connection that is not recovered; `close` ends it if its client reconnects."""
        session = RecoverableSession("", account_id, connection_id, handshake.scope, handshake.target)
        session.attach(close)
        session.received = received_with(handshake.offset)
        self._start(session)
        return session

    def _start(self, session: RecoverableSession) -> None:
        """Issue a recovery token: from now on nothing is missed."""
        session.start, session.from_cluster = self._history.newest_number, False
        session.recovery_token = secrets.token_urlsafe(15)
        if self._cluster is not None:
            session.since = self._cluster.clock()
            session.recovery_token = self._cluster.recovery_token(
                session.account_id, session.connection_id, session.scope, session.target
            )
        self._sessions.add(session)

    async def claim(
        self, account_id: AccountId, handshake: Handshake, close: Callable[[], None]
    ) -> RecoverableSession:
        """The session of a client that has reconnected. Its former connection here has ended then.

        The replica is subscribed to the account. The caller calls `resume`, and `release` when the connection
        was cleaned up. `close` ends it if the client reconnects once more. Raises RecoveryRefused.
        """
        lock = self._claims.setdefault(handshake.recovery_token, asyncio.Lock())
        async with lock:  # of several attempts at the same time the last one wins
            try:
                session = await self._claim(account_id, handshake)
            except RecoveryRefused as refused:
                self._refuse(refused.reason, account_id, None)
                raise
            session.attach(close)
            if self._cluster is not None:
                self._cluster.returned(session.connection_id)
            return session

    async def _claim(self, account_id: AccountId, handshake: Handshake) -> RecoverableSession:
        session = self._sessions.find(account_id, handshake)
        if session is None:
            return await self._restore(account_id, handshake)
        await self._until_free(session)
        self._sessions.expire()
        if session.state is SessionState.ENDED:
            raise RecoveryRefused(NotDelivered.GOODBYE, self._report.replica_id)
        if not self._is_local(session, handshake):
            return await self._restore(account_id, handshake)
        if self._missed(session, handshake) is None:
            self._sessions.enter(session, SessionState.ENDED)
            raise RecoveryRefused(NotDelivered.HISTORY_GAP, self._report.replica_id)
        session.left = self._report.replica_id
        self._sessions.enter(session, SessionState.RESTORING)
        return session

    async def _until_free(self, session: RecoverableSession) -> None:
        """Raises RecoveryRefused if the cleanup of the former connection takes too long."""
        try:
            async with asyncio.timeout(TAKEOVER_SECONDS):
                await session.until_free()
        except TimeoutError:
            raise RecoveryRefused(NotDelivered.TAKEOVER_TIMEOUT, self._report.replica_id) from None

    def _is_local(self, session: RecoverableSession, handshake: Handshake) -> bool:
        """Whether the history of this replica has everything that the client missed."""
        if self._cluster is None:
            return True
        if session.state is SessionState.MOVED:
            return False
        number = self._history.number(handshake.offset)
        if session.from_cluster:  # an earlier offset does not cover what the restored session was replayed
            return number is not None and number > session.start
        return number is not None or not handshake.offset

    async def _restore(self, account_id: AccountId, handshake: Handshake) -> RecoverableSession:
        """The session of a client that was connected to another replica."""
        if self._cluster is None:
            raise RecoveryRefused(NotDelivered.UNKNOWN_TOKEN)
        with self._sessions.awaiting(account_id):
            restored = await self._cluster.find(account_id, handshake, self._history)
            former = self._moved.get(restored.connection_id)
            if former is not None:  # it moved away and back: the connections have the same id
                await self._until_free(former)
            scope, target = handshake.scope, handshake.target
            session = RecoverableSession(
                handshake.recovery_token, account_id, restored.connection_id, scope, target
            )
            session.start, session.from_cluster = restored.start, True
            session.restored, session.received = restored, restored.received
            session.left = restored.left
            self._sessions.add(session)
            self._sessions.enter(session, SessionState.RESTORING)
            return session

    def resume(self, session: RecoverableSession, handshake: Handshake) -> list[bytes]:
        """The packets that the client missed up to now.

        After a history gap there are none, and the session has a new recovery token.
        """
        packets = self._missed(session, handshake)
        self._replayed(session)
        if session.state is SessionState.MOVED:  # while it was let in; its connection is closed
            return []
        if packets is None:
            self._refuse(NotDelivered.HISTORY_GAP, session.account_id, session.connection_id)
            self._sessions.enter(session, SessionState.ENDED)
            self._start(session)
        else:
            self._report.metrics.recoveries.add("recovered")
            if handshake.reads_messages:
                reason = NotDelivered.READS_MESSAGES
                self._report.add(reason, session.account_id, session.connection_id, "messages")
        self._sessions.enter(session, SessionState.CONNECTED)
        return list(with_cursors(packets or (), handshake.read_up_to if handshake.needs_messages else None))

    def _missed(self, session: RecoverableSession, handshake: Handshake) -> list[bytes] | None:
        """The missed packets in order, None if some of them may be gone."""
        restored = session.restored
        received = self._history.number(handshake.offset) or 0
        cursor = RecoveryCursor(
            session.account_id,
            session.connection_id,
            session.scope,
            session.target,
            session.start if restored else max(session.start, received),
            0.0 if restored else session.last_acknowledged,
            session.since,
            session.received,
            handshake.reads_messages,
        )
        packets = self._history.missed(cursor)
        return packets if restored is None or packets is None else restored.packets + packets

    def _refuse(
        self, reason: NotDelivered, account_id: AccountId, connection_id: ConnectionId | None
    ) -> None:
        self._report.metrics.recoveries.add("overflow" if reason in HISTORY_GAPS else "unknown")
        self._report.add(reason, account_id, connection_id, "replay")

    # Connections that end

    def lost(self, session: RecoverableSession, last_acknowledged: float) -> None:
        """The connection is gone; its client has received what was sent before `last_acknowledged`."""
        if session.state in (SessionState.MOVED, SessionState.ENDED):
            return
        session.last_acknowledged = max(session.last_acknowledged, last_acknowledged)
        self._replayed(session)
        self._sessions.enter(session, SessionState.LOST)
        if self._cluster is not None:
            self._cluster.lost(session.connection_id, self._received_at_least(self._cluster, session))
        self._sessions.expire()
        self._sessions.limit_lost(session.account_id)

    def _received_at_least(self, cluster: ClusterRecovery, session: RecoverableSession) -> str:
        """The stream position up to the last pong: newer than the offset of a client that got no events."""
        if not session.last_acknowledged:
            return ""
        position = self._history.position_before(session.account_id, session.last_acknowledged)
        return cluster.position_text(session.account_id) if position is None else position

    def goodbye(self, session: RecoverableSession) -> None:
        """The client disconnected by itself."""
        self._sessions.enter(session, SessionState.ENDED)
        if self._cluster is not None:
            self._cluster.goodbye(session.connection_id)

    def moved(self, account_id: AccountId, connection_id: ConnectionId) -> None:
        """The client is connected to another replica; a connection that it still has here is closed."""
        session = self._sessions.of_connection(connection_id)
        if session is None or session.account_id != account_id:
            return
        self._sessions.enter(session, SessionState.MOVED)
        self._moved[connection_id] = session
        session.close_connection()

    def _replayed(self, session: RecoverableSession) -> None:
        """What was missed on another replica is sent, or will be read again from there."""
        if session.restored is not None:
            session.restored, session.start = None, self._history.newest_number


def build_recovery(
    settings: RecoverySettings, report: DeliveryReport, cluster: ClusterRecovery | None = None
) -> Recovery | None:
    """Connection state recovery, unless it is switched off."""
    if not settings.seconds:
        return None
    limits = HistoryLimits(
        keep_seconds=settings.kept_seconds,
        account_bytes=settings.account_bytes,
        total_bytes=settings.total_bytes,
    )
    return Recovery(History(limits), settings.seconds, report, cluster=cluster)
