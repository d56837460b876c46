"""A transaction, the events recorded in it, and their publication after the commit."""

from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Set
from typing import TypeVar

from happy.domain.errors import CommitInDoubt
from happy.domain.events import TO_USER, Audience, Body, Ephemeral, Update
from happy.domain.ids import update_id
from happy.domain.ports.clock import Clock
from happy.domain.ports.events import EventSink
from happy.domain.ports.store import Store, Transaction
from happy.domain.values import AccountId, ConnectionId, Millis

T = TypeVar("T")
Announcement = tuple[AccountId, Audience, Update | Ephemeral]


class Changes:
    """One transaction and the events recorded in it."""

    def __init__(self, tx: Transaction, now: Millis) -> None:
        self.tx = tx
        self.now = now
        self._recorded: dict[AccountId, list[tuple[Audience, Body]]] = {}
        self._states: list[Announcement] = []

    @property
    def accounts(self) -> Set[AccountId]:
        """Accounts with a recorded event."""
        return self._recorded.keys() | {account_id for account_id, _, _ in self._states}

    def record(self, account_id: AccountId, audience: Audience, body: Body) -> None:
        """Publish `body` as an update once the transaction has committed."""
        self._recorded.setdefault(account_id, []).append((audience, body))

    def announce(self, account_id: AccountId, event: Ephemeral) -> None:
        """Publish what is now stored of a session or machine to the user, once it has committed."""
        self._states.append((account_id, TO_USER, event))

    async def stamp(self) -> list[Announcement]:
        """Number the recorded updates: one statement per account, in a fixed order to avoid deadlocks."""
        stamped = list(self._states)
        for account_id, updates in sorted(self._recorded.items()):
            last = await self.tx.accounts.next_seq(account_id, len(updates), self.now)
            for seq, (audience, body) in enumerate(updates, start=last - len(updates) + 1):
                stamped.append((account_id, audience, Update(update_id(), seq, body, self.now)))
        return stamped


class UnitOfWork:
    """Runs a use case in one transaction and publishes what it recorded after the commit."""

    def __init__(self, store: Store, sink: EventSink, clock: Clock) -> None:
        self._store = store
        self._sink = sink
        self._clock = clock

    async def run(
        self,
        use_case: Callable[[Changes], Awaitable[T]],
        *,
        skip: ConnectionId | None = None,
        committed: Callable[[T], None] | None = None,
    ) -> T:
        """The use case awaits nothing but `changes.tx`: it may run in another thread, or twice.

        `committed` is called with its result after the commit, ahead of the publication.
        """
        now = self._clock()
        announced: set[AccountId] = set()

        async def body(tx: Transaction) -> tuple[T, list[Announcement]]:
            changes = Changes(tx, now)
            result = await use_case(changes)
            for account_id in changes.accounts - announced:
                self._sink.begin_commit(account_id)
            announced.update(changes.accounts)
            return result, await changes.stamp()

        try:
            result, announcements = await self._store.write(body)
            if committed is not None:
                committed(result)
            for account_id, audience, event in announcements:
                self._sink.publish(account_id, event, audience, skip=skip)
        except (CommitInDoubt, CancelledError):
            for account_id in announced:
                self._sink.in_doubt(account_id)
            raise
        finally:
            for account_id in announced:
                self._sink.end_commit(account_id)
        return result
