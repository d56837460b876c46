"""Announces to connected clients what commands have deleted: commands are processes without connections.

A command hides what it deletes, and stores an announcement in the same transaction (`announce`). Every
replica looks for them; the one that takes them publishes them like deletions of its own, in order.
"""

from collections.abc import Sequence

from happy.domain.announcements import Announcement, DeletedKind
from happy.domain.events import TO_USER, DeleteMachine, DeleteSession
from happy.domain.ids import new_id
from happy.domain.ports.store import Store, Transaction
from happy.domain.values import AccountId, MachineId, Millis, SessionId
from happy.services.activity import Activity
from happy.services.deletions import Deletions
from happy.services.unit_of_work import Changes, UnitOfWork

POLL_SECONDS = 1.0
TAKEN_AT_ONCE = 100


async def announce(
    tx: Transaction, account_id: AccountId, kind: DeletedKind, target: str, now: Millis
) -> None:
    """Have a server announce to the account's clients that the session or machine was deleted."""
    await tx.announcements.add(Announcement(new_id(now), account_id, kind, target, now))


class Announcements:
    def __init__(
        self, store: Store, unit_of_work: UnitOfWork, activity: Activity, deletions: Deletions
    ) -> None:
        self._store = store
        self._unit_of_work = unit_of_work
        self._activity = activity
        self._deletions = deletions

    async def publish(self) -> None:
        """Announce all that wait, in transactions of a bounded size."""
        while await self._store.read(lambda tx: tx.announcements.waiting()):
            taken = await self._unit_of_work.run(_take)
            for one in taken:
                self._forget(one)
            self._deletions.wake()
            if len(taken) < TAKEN_AT_ONCE:  # others may be locked by another replica
                return

    def _forget(self, one: Announcement) -> None:
        """Heartbeats that are on their way have no effect any more."""
        if one.kind == "session":
            self._activity.suppress(one.account_id, SessionId(one.target))
        else:
            self._activity.forget_machine(one.account_id, MachineId(one.target))


async def _take(changes: Changes) -> Sequence[Announcement]:
    taken = await changes.tx.announcements.take(TAKEN_AT_ONCE)
    for one in taken:
        body = (
            DeleteSession(SessionId(one.target))
            if one.kind == "session"
            else DeleteMachine(MachineId(one.target))
        )
        changes.record(one.account_id, TO_USER, body)
    return taken
