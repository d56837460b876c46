"""Ends sessions and machines that no connection attends any more, in the store and for clients alike."""

import asyncio
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from time import monotonic

from happy.domain.events import TO_USER, MachineActivity, SessionActivity
from happy.domain.ports.clock import Clock
from happy.domain.ports.cluster import Signals
from happy.domain.ports.events import EventSink
from happy.domain.ports.store import Store, Transaction
from happy.domain.values import MINUTE, AccountId, MachineId, Millis, SessionId
from happy.services.activity import Activity
from happy.services.attendance import BATCH, Attendance, Target

SILENT_AFTER = 1 * MINUTE
"""Heartbeats are stored within 45 s, so no replica has received a later one of an older row."""

RETURN_SECONDS = 30.0
"""After a start clients have this long to reconnect before their targets are ended."""

ANY_TIME = Millis(8_640_000_000_000_000)
GONE = "gone"

Ended = tuple[Target, Millis]


class Departures:
    """What is stored follows the connections, within seconds.

    The replica that loses the last connection of a session or machine ends it after a grace period. Those of
    a replica that was killed, or of a server that was restarted, are found by a sweep: active, silent for a
    minute, and attended by no connection.
    """

    def __init__(
        self,
        store: Store,
        sink: EventSink,
        activity: Activity,
        attendance: Attendance,
        clock: Clock,
        signals: Signals | None = None,
    ) -> None:
        """`signals` reach other replicas, which may know a row as active that this one has ended."""
        self._store = store
        self._sink = sink
        self._activity = activity
        self._attendance = attendance
        self._clock = clock
        self._signals = signals
        self._returning: set[asyncio.Task[None]] = set()
        self._started = monotonic()

    async def end(self, targets: Sequence[Target], seen_by: Millis = ANY_TIME) -> None:
        """Deactivate and announce those that are active and were last seen by that time.

        Their last heartbeats are stored first. A target that reconnects meanwhile is active again at once.
        """
        await self._activity.store_last(targets)

        async def deactivate(tx: Transaction) -> list[Ended]:
            groups = _by_account(targets)
            return [ended for group in groups for ended in await _deactivate(tx, group, seen_by)]

        for target, at in await self._store.write(deactivate):
            self._announce(target, at)
            if self._attendance.is_here(target):
                await self._activity.returned(target)

    async def sweep(self) -> None:
        """End those that are stored as active, but silent for a minute and without any connection."""
        if monotonic() - self._started < RETURN_SECONDS:
            return
        await self._activity.flush()
        deadline = Millis(self._clock() - SILENT_AFTER)
        for kind in ("session", "machine"):
            after: tuple[Millis, str] = (Millis(0), "")
            while rows := await self._silent(kind, deadline, after):
                targets = [target for target, _ in rows]
                if gone := await self._attendance.unattended(targets):
                    await self.end(gone, deadline)
                after = (rows[-1][1], rows[-1][0].id)

    async def _silent(self, kind: str, deadline: Millis, after: tuple[Millis, str]) -> list[Ended]:
        if kind == "session":
            sessions = await self._store.read(lambda tx: tx.sessions.silent(deadline, after, BATCH))
            return [(Target(account, "session", session), at) for account, session, at in sessions]
        machines = await self._store.read(lambda tx: tx.machines.silent(deadline, after, BATCH))
        return [(Target(account, "machine", machine), at) for account, machine, at in machines]

    def _announce(self, target: Target, at: Millis) -> None:
        self._activity.invalidate(target)
        if target.kind == "session":
            session = SessionActivity(SessionId(target.id), active=False, active_at=at)
            self._sink.publish(target.account_id, session, TO_USER)
        else:
            machine = MachineActivity(MachineId(target.id), active=False, active_at=at)
            self._sink.publish(target.account_id, machine, TO_USER)
        if self._signals is not None:  # after the announcement, which a reconnect then corrects
            self._signals.signal(target.account_id, GONE, target.claim)

    def on_ended_by_another(self, account_id: AccountId, claim: str) -> None:
        """Another replica ended the target; it may just have reconnected here, or be cached as active."""
        kind, _, name = claim.partition(":")
        target = Target(account_id, "session" if kind == "session" else "machine", name)
        self._activity.invalidate(target)
        if self._attendance.is_here(target):
            task = asyncio.get_running_loop().create_task(self._activity.returned(target))
            self._returning.add(task)
            task.add_done_callback(self._returning.discard)


def _by_account(targets: Sequence[Target]) -> list[list[Target]]:
    """Each with targets of one account and one kind, always in the same order so that none deadlock."""
    return [list(group) for _, group in groupby(sorted(targets), attrgetter("account_id", "kind"))]


async def _deactivate(tx: Transaction, targets: list[Target], seen_by: Millis) -> list[Ended]:
    account_id, kind, _ = targets[0]
    if kind == "session":
        sessions = [SessionId(target.id) for target in targets]
        ended = await tx.sessions.mark_gone(account_id, sessions, seen_by)
        return [(Target(account_id, kind, session), at) for session, at in ended]
    machines = [MachineId(target.id) for target in targets]
    gone = await tx.machines.mark_gone(account_id, machines, seen_by)
    return [(Target(account_id, kind, machine), at) for machine, at in gone]
