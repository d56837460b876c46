"""What reaches connections: events to an account, messages to one node, and who is connected where."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec
from msgspec import Struct

from happy.domain.events import Audience, Ephemeral, Update
from happy.domain.stream_position import StreamPosition
from happy.domain.values import AccountId, ConnectionId, ReplicaId

FOREGROUND: Final = "foreground"
"""What user-scoped connections claim in `Presence` while somebody looks at them."""

CLOCK_MS: Final = 1_000
"""How far the shared clock may differ between replicas. An event that seems older by less is delivered."""


class EventSink(Protocol):
    """Where committed events go. The gateway implements it; services only know this."""

    def publish(
        self,
        account_id: AccountId,
        event: Update | Ephemeral,
        audience: Audience,
        *,
        skip: ConnectionId | None = None,
    ) -> None:
        """Deliver `event` to every connection of `audience` on every node. Returns at once."""
        ...

    def begin_commit(self, account_id: AccountId) -> None:
        """Events of the account are about to be committed; comes before every commit. Returns at once.

        Should this node be killed before it publishes them, connections on other nodes start over. Where
        there are no other nodes, it may be called in any thread.
        """
        ...

    def end_commit(self, account_id: AccountId) -> None:
        """What was expected has been published, or will never be. Returns at once."""
        ...

    def in_doubt(self, account_id: AccountId) -> None:
        """Nobody knows whether events were committed, or will be: connections start over, now and later."""
        ...

    def resync(self, account_id: AccountId) -> None:
        """Connections of the account are closed on all nodes: clients read again. Returns at once."""
        ...


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


class Kept(Struct, frozen=True):
    """An event that was published a while ago. Everything up to `place` precedes it.

    `ahead`: connections of its node heard it before others' events that are in front of it.
    """

    place: int
    origin: Origin
    envelope: bytes
    ahead: bool


class SharedHistory(Protocol):
    """What all nodes know of the last minutes: events, and connections that ended."""

    def position(self, account_id: AccountId) -> StreamPosition | None:
        """How far the connections of a watched account have heard; None while that cannot be said."""
        ...

    def now(self) -> int:
        """The time on the clock that events are stamped with, in ms."""
        ...

    def mark(self, account_id: AccountId) -> str:
        """The text of that position, or an empty one."""
        ...

    async def since(
        self, account_id: AccountId, position: StreamPosition, *, unbroken: bool
    ) -> list[Kept] | None:
        """What connections here heard after `position`, in order; None if some of it may be gone.

        What is heard here from now on is left out, even if on its way. The account is watched. `unbroken`
        says that whoever asks was connected within the last hour. Raises Unavailable.
        """
        ...

    def ended(self, connection_id: ConnectionId, note: bytes) -> None:
        """Remember how a connection ended, for as long as its client may come back. Returns at once."""
        ...

    def returned(self, connection_id: ConnectionId) -> None:
        """Forget how it ended: it goes on. Returns at once."""
        ...

    async def ending(self, connection_id: ConnectionId) -> bytes | None:
        """How a connection ended, None if nobody noticed. Raises Unavailable."""
        ...


class NodeLink(Protocol):
    """One node to one node, for remote calls and their answers."""

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


class Holder(Struct, frozen=True):
    """The live connection that holds a claim. A higher rank comes before a newer claim."""

    replica_id: ReplicaId
    connection_id: ConnectionId
    rank: int = 0


class Presence(Protocol):
    """Claims of live connections on names, gone when released or when their node stops renewing them."""

    async def claim(self, account_id: AccountId, name: str, holder: Holder) -> None:
        """Claim `name`, or make an earlier claim of this holder the newest."""
        ...

    async def release(self, account_id: AccountId, name: str, holder: Holder) -> None: ...

    def claim_soon(self, account_id: AccountId, name: str, holder: Holder) -> None:
        """The same as `claim`, but returns at once: other nodes see it a moment later."""
        ...

    def release_soon(self, account_id: AccountId, name: str, holder: Holder) -> None:
        """The same as `release`, but returns at once."""
        ...

    async def is_held(self, account_id: AccountId, name: str) -> bool:
        """Whether anybody holds `name`. Raises Unavailable when other nodes cannot be asked."""
        ...

    async def holders(self, account_id: AccountId, name: str) -> Sequence[Holder]:
        """The current holders of `name`: the highest rank first, the newest first among equals."""
        ...


class OnResponse(Protocol):
    """Called once, never before `ask` has returned, with what a connection answered; it must not block.

    None is an empty answer, an exception none at all: the connection has closed.
    """

    def __call__(self, reply: msgspec.Raw | Exception | None) -> None: ...


class LocalConnection(Protocol):
    """A connection of this node that serves remote procedure calls."""

    def ask(self, method: str, params: msgspec.Raw | None, on_response: OnResponse) -> int:
        """Ask and return at once, with a number for `forget`. Who has closed replies with an exception."""
        ...

    def forget(self, number: int) -> None:
        """Nobody waits for this reply any more: `on_response` is not called."""
        ...


class LocalConnections(Protocol):
    """The connections of this node that serve remote procedure calls."""

    def serving(self, account_id: AccountId, method: str, *, besides: ConnectionId) -> LocalConnection | None:
        """The best connection that registered `method`: machine scope before others, then the newest."""
        ...

    def serves(
        self, account_id: AccountId, method: str, connection_id: ConnectionId
    ) -> LocalConnection | None:
        """This very connection, if it registered `method`."""
        ...
