"""Activity of sessions and machines: heartbeats, and how they are stored.

protocol: realtime#presence
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from happy.domain.errors import Unavailable
from happy.domain.events import TO_USER, Ephemeral, MachineActivity, SessionActivity
from happy.domain.ports.clock import Clock
from happy.domain.ports.cluster import Signals
from happy.domain.ports.events import EventSink
from happy.domain.ports.store import Store
from happy.domain.values import MINUTE, AccountId, ConnectionId, MachineId, Millis, SessionId
from happy.limits import limit
from happy.metrics import Metrics
from happy.services.attendance import Attendance, Target
from happy.services.batches import MAX_ROWS
from happy.services.heartbeats import Beat, Heartbeats, LastSeen
from happy.services.repeats import Repeats

SUPPRESSION = 1 * MINUTE
FLUSH_SECONDS = 5.0
REVIVAL_SECONDS = 0.2
MAX_SUPPRESSED = limit(
    50_000,
    "stopped sessions whose heartbeats are ignored for a minute",
    per="replica",
    then="a heartbeat of the one that stopped first counts again",
)
STOPPED, RESUMED = "stopped", "resumed"


class Activity:
    def __init__(  # noqa: PLR0913, PLR0917 - what activity has to do with
        self,
        store: Store,
        sink: EventSink,
        attendance: Attendance,
        repeats: Repeats,
        clock: Clock,
        metrics: Metrics | None = None,
        signals: Signals | None = None,
    ) -> None:
        """`signals` reach other replicas, which then ignore heartbeats of the same stopped sessions."""
        self._store = store
        self._sink = sink
        self._attendance = attendance
        self.repeats = repeats
        self._clock = clock
        self._metrics = metrics or Metrics()
        self._revived = asyncio.Event()
        self._sessions = Heartbeats(self._load_session, clock, "session", self._metrics, self._revived)
        self._machines = Heartbeats(self._load_machine, clock, "machine", self._metrics, self._revived)
        self._suppressed: dict[tuple[AccountId, str], Millis] = {}
        self._signals = signals

    def known_session_alive(
        self, account_id: AccountId, session_id: SessionId, at: Millis, *, thinking: bool
    ) -> bool:
        """Announce a heartbeat without waiting; False if the session has to be read from the store first.

        Nearly all heartbeats end here. One of a recently stopped session is ignored.
        """
        if self._is_suppressed(account_id, session_id):
            self._metrics.validation("session", "stopped")
            return True
        seen = self._sessions.beat_known(account_id, session_id, at)
        if seen is None:
            return False
        self._announce_session(account_id, session_id, seen, thinking=thinking)
        return True

    async def session_alive(
        self, account_id: AccountId, session_id: SessionId, at: Millis, *, thinking: bool
    ) -> None:
        """Announce a heartbeat. One of an unknown or recently stopped session is ignored."""
        if self.known_session_alive(account_id, session_id, at, thinking=thinking):
            return
        seen = await self._sessions.beat(account_id, session_id, at)
        if seen is not None and not self._is_suppressed(account_id, session_id):
            self._announce_session(account_id, session_id, seen, thinking=thinking)

    def known_machine_alive(self, account_id: AccountId, machine_id: MachineId, at: Millis) -> bool:
        """The same for a machine; False also if it has to be stored as active first."""
        if not self._machines.is_stored_active(account_id, machine_id):
            return False
        seen = self._machines.beat_known(account_id, machine_id, at)
        if seen is None:
            return False
        self._announce_machine(account_id, machine_id, seen)
        return True

    async def machine_alive(self, account_id: AccountId, machine_id: MachineId, at: Millis) -> None:
        """Announce a heartbeat. One of an unknown machine is ignored.

        A row that is inactive is stored as active before: an app that starts between the two would list the
        machine as offline until its next heartbeat, 20 s later.
        """
        seen = await self._machines.beat(account_id, machine_id, at)
        if seen is None:
            return
        if not self._machines.is_stored_active(account_id, machine_id):
            with suppress(Unavailable):  # the background job tries again
                await self._flush_machines()
            self.repeats.later(Target(account_id, "machine", machine_id))
        self._announce_machine(account_id, machine_id, seen)

    def session_connected(
        self, account_id: AccountId, session_id: SessionId, connection_id: ConnectionId
    ) -> None:
        """The session is running; it ends after a grace period once its last connection has closed."""
        self.resume(account_id, session_id)
        self.attend(Target(account_id, "session", session_id), connection_id)

    async def machine_connected(
        self, account_id: AccountId, machine_id: MachineId, connection_id: ConnectionId
    ) -> None:
        """Announce the machine as online, if it is the account's. It ends as a session does."""
        await self._attendance.arrive(Target(account_id, "machine", machine_id), connection_id)
        await self.machine_alive(account_id, machine_id, self._clock())

    def attend(self, target: Target, connection_id: ConnectionId) -> None:
        """The target is alive for as long as this connection is."""
        self._attendance.attend(target, connection_id)

    def disconnected(self, connection_id: ConnectionId, *, goodbye: bool = False) -> None:
        """Its targets end after a grace period, unless another connection attends them."""
        self._attendance.disconnected(connection_id, goodbye=goodbye)

    async def stop(self) -> None:
        """The server stops: connections that it closes from now on end no session or machine."""
        await self._attendance.stop()

    def suppress(self, account_id: AccountId, session_id: SessionId) -> None:
        """Ignore heartbeats of a stopped session for a minute: they were on their way when it stopped."""
        self.repeats.later(Target(account_id, "session", session_id))
        self.on_stopped(account_id, session_id)
        if self._signals is not None:
            self._signals.signal(account_id, STOPPED, session_id)

    def resume(self, account_id: AccountId, session_id: SessionId) -> None:
        """The session runs again: stop ignoring its heartbeats."""
        self.on_resumed(account_id, session_id)
        if self._signals is not None:
            self._signals.signal(account_id, RESUMED, session_id)

    def on_stopped(self, account_id: AccountId, session_id: str) -> None:
        self._sessions.forget(account_id, session_id)
        self._suppressed.pop((account_id, session_id), None)
        self._suppressed[account_id, session_id] = Millis(self._clock() + SUPPRESSION)
        if len(self._suppressed) > MAX_SUPPRESSED:
            del self._suppressed[next(iter(self._suppressed))]

    def on_resumed(self, account_id: AccountId, session_id: str) -> None:
        self._suppressed.pop((account_id, session_id), None)

    def forget_machine(self, account_id: AccountId, machine_id: MachineId) -> None:
        """Drop cached state and queued heartbeats of a deleted machine."""
        self._machines.forget(account_id, machine_id)

    def invalidate(self, target: Target) -> None:
        """Invalidate the cache: the stored row was changed by another replica, or when it was ended."""
        heartbeats = self._sessions if target.kind == "session" else self._machines
        heartbeats.invalidate(target.account_id, target.id)

    async def store_last(self, targets: Sequence[Target]) -> None:
        """Store the last heartbeats of these targets, even if they are hardly newer than the stored ones."""
        for target in targets:
            heartbeats = self._sessions if target.kind == "session" else self._machines
            heartbeats.queue_last(target.account_id, target.id)
        await self.flush()

    async def returned(self, target: Target) -> None:
        """The target reconnected while it was being ended. A machine is announced now, as it beats rarely.

        A session is announced with its next heartbeat, but stored as active now: should it end before that,
        its end is announced.
        """
        account_id, now = target.account_id, self._clock()
        if target.kind == "machine":
            await self.machine_alive(account_id, MachineId(target.id), now)
        elif not self._is_suppressed(account_id, SessionId(target.id)):
            await self._sessions.beat(account_id, target.id, now)

    async def flush_when_due(self) -> None:
        """Flush after 5 s, or 0.2 s after an inactive row has sent a heartbeat; for a background job."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_SECONDS):
                await self._revived.wait()
                await asyncio.sleep(REVIVAL_SECONDS)  # so that several share one transaction
        self._revived.clear()
        await self.flush()

    async def flush(self) -> None:
        """Store the queued heartbeats; those that cannot be stored now remain queued."""
        await self._write(
            self._sessions,
            lambda beats: self._store.write(
                lambda tx: tx.sessions.mark_active(
                    [(SessionId(beat.target), beat.at, beat.received) for beat in beats], self._clock()
                )
            ),
        )
        await self._flush_machines()

    async def _flush_machines(self) -> None:
        await self._write(
            self._machines,
            lambda beats: self._store.write(
                lambda tx: tx.machines.mark_active(
                    [(beat.account_id, MachineId(beat.target), beat.at) for beat in beats], self._clock()
                )
            ),
        )

    async def _write(
        self,
        heartbeats: Heartbeats,
        write: Callable[[list[Beat]], Awaitable[None]],
    ) -> None:
        """In transactions of a bounded size, so that other writers are not blocked for long."""
        beats = heartbeats.take()
        for first in range(0, len(beats), MAX_ROWS):
            part = beats[first : first + MAX_ROWS]
            try:
                await write(part)
            except BaseException:
                heartbeats.restore(beats[first:])
                raise
            heartbeats.written(part)

    async def purge(self) -> None:
        """Evict expired cache entries and suppressions."""
        now = self._clock()
        self._sessions.purge()
        self._machines.purge()
        self._suppressed = {key: until for key, until in self._suppressed.items() if _is_muted(until, now)}

    def _is_suppressed(self, account_id: AccountId, session_id: SessionId) -> bool:
        until = self._suppressed.get((account_id, session_id))
        return until is not None and _is_muted(until, self._clock())

    def _announce_session(
        self, account_id: AccountId, session_id: SessionId, at: Millis, *, thinking: bool
    ) -> None:
        self._publish(account_id, SessionActivity(session_id, active=True, active_at=at, thinking=thinking))

    def _announce_machine(self, account_id: AccountId, machine_id: MachineId, at: Millis) -> None:
        self._publish(account_id, MachineActivity(machine_id, active=True, active_at=at))

    def _publish(self, account_id: AccountId, event: Ephemeral) -> None:
        self._sink.publish(account_id, event, TO_USER)

    async def _load_session(self, account_id: AccountId, session_id: str) -> LastSeen | None:
        session = await self._store.read(lambda tx: tx.sessions.get(account_id, SessionId(session_id)))
        return None if session is None else (session.last_active_at, session.active)

    async def _load_machine(self, account_id: AccountId, machine_id: str) -> LastSeen | None:
        machine = await self._store.read(lambda tx: tx.machines.get(account_id, MachineId(machine_id)))
        return None if machine is None else (machine.last_active_at, machine.active)


def _is_muted(until: Millis, now: Millis) -> bool:
    """False after the clock was set back: otherwise the session would be muted until that time."""
    return until - SUPPRESSION <= now < until
