"""What replicas exchange: envelopes, signals, messages from one to another, and the shared history."""

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from msgspec import Struct

from happy.domain.stream_position import StreamPosition
from happy.domain.values import AccountId, ConnectionId, ReplicaId

CLOCK_MS: Final = 1_000
"""How far the shared clock may differ between replicas. An event that seems older by less is delivered."""


class Signals(Protocol):
    """Short messages between replicas about an account; they are not sent to clients."""

    def signal(self, account_id: AccountId, kind: str, text: str) -> None:
        """Send to the other replicas that are subscribed to the account. Returns at once."""
        ...

    def listen_for(self, kind: str, handler: Callable[[AccountId, str], None]) -> None:
        """Call `handler` inline for signals of this kind from other replicas."""
        ...


class Origin(NamedTuple):
    """The replica that published an event, its number for it, and when; numbers of a replica only grow.

    `at` is in ms, on a clock that all replicas share.
    """

    replica_id: ReplicaId
    number: int
    at: int


class OnEnvelope(Protocol):
    """Called inline for every envelope from another replica; it must not block."""

    def __call__(self, account_id: AccountId, envelope: bytes, origin: Origin) -> None: ...


class OnMessage(Protocol):
    """Called inline for every message that another replica sent to this one; it must not block."""

    def __call__(self, sender: ReplicaId, payload: bytes) -> None: ...


class OnResync(Protocol):
    """Called when envelopes of an account were lost on their way here: its connections must resync.

    Connections that began after `before`, if it is given, missed nothing; it is a time as in `Origin.at`.
    """

    def __call__(self, account_id: AccountId, before: int | None = None) -> None: ...


class EventBus(Protocol):
    """Carries envelopes to the other replicas that are subscribed to an account.

    In order per publishing replica, never back to the publisher.
    """

    @property
    def has_peers(self) -> bool:
        """Whether there can be other replicas at all; otherwise nothing needs to be encoded for them."""
        ...

    def listen(self, on_envelope: OnEnvelope, on_resync: OnResync) -> None:
        """Set the handlers. Must precede the first `subscribe`."""
        ...

    def publish(self, account_id: AccountId, *envelope: bytes) -> None:
        """Queue an envelope, which is given in pieces, and return at once."""
        ...

    def begin_commit(self, account_id: AccountId) -> None:
        """Announce a publish intent: if this replica dies before it publishes, others report a resync."""
        ...

    def end_commit(self, account_id: AccountId) -> None:
        """Withdraw the intent: the events are published, or never will be. Once per `begin_commit`."""
        ...

    def resync(self, account_id: AccountId) -> None:
        """Other replicas that are subscribed to the account call `on_resync`. Returns at once."""
        ...

    async def subscribe(self, account_id: AccountId) -> None:
        """Returns when envelopes that are published from now on will arrive."""
        ...

    def unsubscribe(self, account_id: AccountId) -> None:
        """Envelopes need not arrive any more. Returns at once."""
        ...


class StoredEnvelope(Struct, frozen=True):
    """An envelope that the history kept. `offset`: everything up to it precedes this envelope.

    `ahead`: connections of the publishing replica received it before others' events with lower offsets.
    """

    offset: int
    origin: Origin
    envelope: bytes
    ahead: bool


class SharedHistory(Protocol):
    """The last minutes, as all replicas know them: envelopes, and disconnect records."""

    def position(self, account_id: AccountId) -> StreamPosition | None:
        """How far connections of a subscribed account have received; None while that is not known."""
        ...

    def now(self) -> int:
        """The time on the shared clock that envelopes are stamped with, in ms."""
        ...

    def position_text(self, account_id: AccountId) -> str:
        """The text of `position`; empty while that is not known."""
        ...

    async def since(
        self, account_id: AccountId, position: StreamPosition, *, unbroken: bool
    ) -> list[StoredEnvelope] | None:
        """What connections here received after `position`, in order; None for a history gap.

        What this replica receives from now on is left out, even if it is on its way. The account must be
        subscribed. `unbroken`: the client was connected within the last hour. Raises Unavailable.
        """
        ...

    def save_disconnect(self, connection_id: ConnectionId, record: bytes) -> None:
        """Keep the disconnect record of a connection while its client may still recover. Returns at once."""
        ...

    def delete_disconnect(self, connection_id: ConnectionId) -> None:
        """Delete the record: the client has recovered. Returns at once."""
        ...

    async def load_disconnect(self, connection_id: ConnectionId) -> bytes | None:
        """The record; None if no replica has noticed a disconnect. Raises Unavailable."""
        ...


class ReplicaLink(Protocol):
    """Messages from one replica to another, for RPC calls and their responses."""

    @property
    def replica_id(self) -> ReplicaId: ...

    def listen(self, on_message: OnMessage) -> None:
        """Set the handler of messages from other replicas."""
        ...

    def send(self, to: ReplicaId, payload: bytes) -> None:
        """Queue `payload` and return at once."""
        ...

    async def deliver(self, to: ReplicaId, payload: bytes) -> bool:
        """Send `payload` now; False when that replica does not listen any more. Raises Unavailable."""
        ...

    async def is_alive(self, replica_id: ReplicaId) -> bool: ...
