"""Ends sessions and machines that no connection attends any more, in the store and for clients alike."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import groupby
from operator import attrgetter
from time import monotonic

from happy.domain.errors import Unavailable
from happy.domain.events import Ephemeral, MachineActivity, SessionActivity
from happy.domain.ports.clock import Clock
from happy.domain.ports.cluster import Signals
from happy.domain.ports.store import Store, Transaction
from happy.domain.values import MINUTE, AccountId, MachineId, Millis, SessionId
from happy.services.activity import Activity
from happy.services.attendance import BATCH, Attendance, Target
from happy.services.unit_of_work import Changes, UnitOfWork

SILENT_AFTER = 1 * MINUTE
"""Heartbeats are stored within 45 s, so no replica has received a later one of an older row."""

RETURN_SECONDS = 30.0
"""After a start clients have this long to reconnect before their targets are ended."""

IDLE_AFTER = 10 * MINUTE
IDLE_BATCH = 500

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
        unit_of_work: UnitOfWork,
        activity: Activity,
        attendance: Attendance,
        clock: Clock,
        signals: Signals | None = None,
    ) -> None:
        """`signals` reach other replicas, which may know a row as active that this one has ended."""
        self._store = store
        self._unit_of_work = unit_of_work
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

        ended = await self._run(deactivate)
        for target, _ in ended:
            if self._signals is not None:  # after the announcement, which a reconnect then corrects
                self._signals.signal(target.account_id, GONE, target.claim)
        for target, _ in ended:
            if self._attendance.is_here(target):
                await self._returned(target)

    async def _run(self, deactivate: Callable[[Transaction], Awaitable[list[Ended]]]) -> list[Ended]:
        """Deactivate rows and announce it. If the outcome is lost, clients of their accounts read again."""

        async def use_case(changes: Changes) -> list[Ended]:
            ended = await deactivate(changes.tx)
            for target, at in ended:
                changes.announce(target.account_id, _end_of(target, at))
            return ended

        return await self._unit_of_work.run(use_case, committed=self._invalidate)

    def _invalidate(self, ended: list[Ended]) -> None:
        for target, _ in ended:
            self._activity.invalidate(target)
            self._activity.repeats.later(target)

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

    async def expire(self) -> None:
        """End those whose last heartbeat is ten minutes old, though a connection may be open."""
        await self._activity.flush()  # so that queued heartbeats count
        deadline = Millis(self._clock() - IDLE_AFTER)
        for kind in ("session", "machine"):
            while await self._run(partial(_deactivate_idle, kind=kind, deadline=deadline)):
                pass

    def on_ended_by_another(self, account_id: AccountId, claim: str) -> None:
        """Another replica ended the target; it may just have reconnected here, or be cached as active."""
        kind, _, name = claim.partition(":")
        target = Target(account_id, "session" if kind == "session" else "machine", name)
        self._activity.invalidate(target)
        if self._attendance.is_here(target):
            task = asyncio.get_running_loop().create_task(self._returned(target))
            self._returning.add(task)
            task.add_done_callback(self._returning.discard)

    async def _returned(self, target: Target) -> None:
        with suppress(Unavailable):  # the next heartbeat tries again
            await self._activity.returned(target)


def _end_of(target: Target, at: Millis) -> Ephemeral:
    if target.kind == "session":
        return SessionActivity(SessionId(target.id), active=False, active_at=at)
    return MachineActivity(MachineId(target.id), active=False, active_at=at)


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


async def _deactivate_idle(tx: Transaction, kind: str, deadline: Millis) -> list[Ended]:
    if kind == "session":
        idle = await tx.sessions.mark_idle(deadline, IDLE_BATCH)
        return [(Target(account_id, "session", session), at) for account_id, session, at in idle]
    gone = await tx.machines.mark_idle(deadline, IDLE_BATCH)
    return [(Target(account_id, "machine", machine), at) for account_id, machine, at in gone]
