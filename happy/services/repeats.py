"""Announces once more, some seconds later, what became active or inactive.

An app draws a list when it arrives, not when it was read from the database. One that was read before a change
and arrives after the event that announced it would be drawn until the next change.
"""

import time
from collections.abc import Callable
from functools import partial
from itertools import islice

from happy.domain.events import TO_USER, Ephemeral, MachineActivity, SessionActivity
from happy.domain.ports.events import EventSink
from happy.domain.ports.store import Store, Transaction
from happy.domain.values import MachineId, SessionId
from happy.limits import limit
from happy.services.attendance import BATCH, Target

REPEAT_SECONDS = 10.0
"""Longer than a list takes to arrive, on a slow network or from a busy server."""

MAX_REPEATS = limit(
    10_000,
    "changes of what is active that are announced once more",
    per="replica",
    then="the one announced first is not announced again",
)


class Repeats:
    """What is repeated is what is stored by then.

    Every replica repeats its own changes. So whatever order two of them arrived in, the last word is about
    the last change.
    """

    def __init__(self, store: Store, sink: EventSink, now: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._sink = sink
        self._now = now
        self._due: dict[Target, float] = {}  # the earliest first

    def later(self, target: Target) -> None:
        """It has changed, which is announced now."""
        self._due.pop(target, None)
        self._due[target] = self._now() + REPEAT_SECONDS
        if len(self._due) > MAX_REPEATS:
            del self._due[next(iter(self._due))]

    async def announce_due(self) -> None:
        """For a background job. What cannot be read now is announced by the next run."""
        while due := [target for target, at in islice(self._due.items(), BATCH) if at <= self._now()]:
            for target, event in await self._store.read(partial(_states, targets=due)):
                self._sink.publish(target.account_id, event, TO_USER)
            for target in due:
                if self._due.get(target, self._now()) <= self._now():  # not changed again meanwhile
                    self._due.pop(target, None)


async def _states(tx: Transaction, targets: list[Target]) -> list[tuple[Target, Ephemeral]]:
    states = [(target, await _state(tx, target)) for target in targets]
    return [(target, state) for target, state in states if state is not None]


async def _state(tx: Transaction, target: Target) -> Ephemeral | None:
    """None if it is gone, and for an active session: whether it is thinking is in its heartbeats, of 2 s."""
    if target.kind == "machine":
        machine = await tx.machines.get(target.account_id, MachineId(target.id))
        if machine is None:
            return None
        return MachineActivity(machine.id, active=machine.active, active_at=machine.last_active_at)
    session = await tx.sessions.get(target.account_id, SessionId(target.id))
    if session is None or session.active:
        return None
    return SessionActivity(session.id, active=False, active_at=session.last_active_at)
