"""Services on a real store, with everything around them under the control of the test."""

from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import msgspec

from happy.adapters.light.sqlite import SqliteStore
from happy.adapters.memory import MemoryPresence
from happy.domain.errors import Unavailable
from happy.domain.events import Audience, Ephemeral, Update
from happy.domain.ports.filestore import ListedObject, StoredFile, UploadTicket
from happy.domain.values import AccountId, ConnectionId, Millis, ReplicaId
from happy.services.activity import RESUMED, STOPPED, Activity
from happy.services.attendance import Attendance
from happy.services.deletions import Deletions
from happy.services.departures import GONE, Departures
from happy.services.machines import MachineService
from happy.services.messages import MessageService
from happy.services.repeats import Repeats
from happy.services.sessions import SessionService
from happy.services.unit_of_work import UnitOfWork
from tests.support.factories import NOW


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> Millis:
        return self.now

    def advance(self, *, seconds: float = 0, minutes: float = 0) -> Millis:
        self.now = Millis(self.now + int(1_000 * (seconds + 60 * minutes)))
        return self.now


class Published(NamedTuple):
    account_id: AccountId
    event: Update | Ephemeral
    audience: Audience
    skip: ConnectionId | None

    @property
    def wire(self) -> dict[str, Any]:
        """The event as clients read it."""
        wire: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self.event))
        return wire


class Sink:
    """An event sink that keeps what it was given."""

    def __init__(self) -> None:
        self.published: list[Published] = []
        self.begun: list[AccountId] = []
        self.ended: list[AccountId] = []
        self.resynced: list[AccountId] = []
        self.in_doubt_accounts: list[AccountId] = []

    def begin_commit(self, account_id: AccountId) -> None:
        self.begun.append(account_id)

    def end_commit(self, account_id: AccountId) -> None:
        self.ended.append(account_id)

    def resync(self, account_id: AccountId) -> None:
        self.resynced.append(account_id)

    def in_doubt(self, account_id: AccountId) -> None:
        self.in_doubt_accounts.append(account_id)

    def publish(
        self,
        account_id: AccountId,
        event: Update | Ephemeral,
        audience: Audience,
        *,
        skip: ConnectionId | None = None,
    ) -> None:
        self.published.append(Published(account_id, event, audience, skip))

    def take(self) -> list[Published]:
        """What was published since the last call."""
        taken, self.published = self.published, []
        return taken

    def wires(self) -> list[dict[str, Any]]:
        return [published.wire for published in self.take()]


class Files:
    """A file store that only remembers what was deleted."""

    direct = False

    def __init__(self) -> None:
        self.deleted: list[str] = []
        self.broken = False

    async def put(self, key: str, chunks: AsyncIterator[bytes], max_bytes: int) -> int:
        raise NotImplementedError

    async def ping(self) -> None:
        raise NotImplementedError

    def list_all(self) -> AsyncIterator[ListedObject]:
        raise NotImplementedError

    async def open(self, key: str, offset: int = 0, length: int | None = None) -> StoredFile:
        raise NotImplementedError

    async def delete_prefix(self, prefix: str) -> None:
        if self.broken:
            raise Unavailable
        self.deleted.append(prefix)

    async def upload_ticket(self, key: str, max_bytes: int, size: int | None = None) -> UploadTicket | None:
        raise NotImplementedError

    async def download_url(self, key: str) -> str | None:
        raise NotImplementedError

    def public_url(self, key: str) -> str:
        return f"https://files.example/{key}"


class Signals:
    """Carries signals to one other replica, in order and at once."""

    def __init__(self) -> None:
        self.other: Signals | None = None
        self._handlers: dict[str, Callable[[AccountId, str], None]] = {}

    def signal(self, account_id: AccountId, kind: str, text: str) -> None:
        if self.other is not None and kind in self.other._handlers:
            self.other._handlers[kind](account_id, text)

    def listen_for(self, kind: str, handler: Callable[[AccountId, str], None]) -> None:
        self._handlers[kind] = handler


class World:
    """Services of one replica."""

    def __init__(
        self,
        store: SqliteStore,
        *,
        clock: Clock | None = None,
        presence: MemoryPresence | None = None,
        signals: Signals | None = None,
        replica_id: str = "here",
        grace: float = 0,
    ) -> None:
        self.store = store
        self.clock = clock or Clock()
        self.sink = Sink()
        self.files = Files()
        self.presence = presence or MemoryPresence()
        self.unit_of_work = UnitOfWork(store, self.sink, self.clock)
        self.attendance = Attendance(self.presence, ReplicaId(replica_id), grace=grace)
        self.repeats = Repeats(store, self.sink, lambda: self.clock.now / 1000)
        self.activity = Activity(store, self.sink, self.attendance, self.repeats, self.clock, signals=signals)
        self.departures = Departures(
            store, self.unit_of_work, self.activity, self.attendance, self.clock, signals
        )
        self.attendance.listen(self.departures.end)
        if signals is not None:
            signals.listen_for(STOPPED, self.activity.on_stopped)
            signals.listen_for(RESUMED, self.activity.on_resumed)
            signals.listen_for(GONE, self.departures.on_ended_by_another)
        self.deletions = Deletions(store, self.files, self.clock)
        self.sessions = SessionService(store, self.unit_of_work, self.activity, self.deletions, self.clock)
        self.messages = MessageService(store, self.sink, self.clock)
        self.machines = MachineService(store, self.unit_of_work, self.activity, self.deletions)
