"""What replicas exchange: envelopes, signals, messages from one to another, and the shared history."""

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from msgspec import Struct

from happy.domain.stream_position import StreamPosition
from happy.domain.values import AccountId, ConnectionId, ReplicaId

CLOCK_MS: Final = 1_000
"""How far the shared clock may differ between replicas. An event that seems older by less is delivered."""


class Signals(Protocol):
    """What nodes tell each other about an account, and no client hears."""

    def signal(self, account_id: AccountId, kind: str, text: str) -> None:
        """Tell the other nodes that have connections of the account. Returns at once."""
        ...

    def on_signal(self, kind: str, handler: Callable[[AccountId, str], None]) -> None:
        """Call `handler` inline for signals of other nodes."""
        ...


class Origin(NamedTuple):
    """Who published an event and when, and the publisher's number for it: numbers of one node only grow.

    The time in ms is that of a clock which all nodes share.
    """

    replica_id: ReplicaId
    number: int
    at: int


class OnEnvelope(Protocol):
    """Called inline for every frame from another node; it must not block."""

    def __call__(self, account_id: AccountId, envelope: bytes, origin: Origin) -> None: ...


class OnMessage(Protocol):
    """Called inline for every message another node sent to this one; it must not block."""

    def __call__(self, sender: ReplicaId, payload: bytes) -> None: ...


class OnResync(Protocol):
    """Called when frames for an account were lost on their way here: its connections must start over.

    Those that began after a moment on the clock of events lack nothing, if one is given.
    """

    def __call__(self, account_id: AccountId, before: int | None = None) -> None: ...


class EventBus(Protocol):
    """Carries encoded frames to the other nodes that watch an account.

    In order per publishing node, never back to the publisher.
    """

    @property
    def has_peers(self) -> bool:
        """Whether there can be other nodes at all; otherwise nothing needs to be encoded for them."""
        ...

    def listen(self, on_envelope: OnEnvelope, on_resync: OnResync) -> None:
        """Call these from now on. Comes before the first `subscribe`."""
        ...

    def publish(self, account_id: AccountId, envelope: bytes) -> None:
        """Queue `envelope` and return at once."""
        ...

    def begin_commit(self, account_id: AccountId) -> None:
        """Should this node be killed before it publishes what it commits now, others report a gap."""
        ...

    def end_commit(self, account_id: AccountId) -> None:
        """It has published that, or never will. Comes once for every `begin_commit`."""
        ...

    def resync(self, account_id: AccountId) -> None:
        """Other nodes that watch the account report a gap. Returns at once."""
        ...

    async def subscribe(self, account_id: AccountId) -> None:
        """Returns when frames published from now on will arrive."""
        ...

    def unsubscribe(self, account_id: AccountId) -> None:
        """Frames need not arrive any more. Returns at once."""
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
        """Call this for what other nodes send from now on."""
        ...

    def send(self, to: ReplicaId, payload: bytes) -> None:
        """Queue `payload` and return at once."""
        ...

    async def deliver(self, to: ReplicaId, payload: bytes) -> bool:
        """Send `payload` now; False when no such node listens any more. Raises Unavailable."""
        ...

    async def is_alive(self, replica_id: ReplicaId) -> bool: ...
