"""The connections of this replica: an event is encoded once and sent to its audience."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from happy.domain.events import Audience, Ephemeral, Scope, Update
from happy.domain.ports.cluster import EventBus, Origin
from happy.domain.ports.delivery import NotDelivered
from happy.domain.ports.rpc import OnResponse
from happy.domain.values import AccountId, ConnectionId
from happy.gateway import envelope as envelopes
from happy.gateway.account_limits import refused
from happy.gateway.connections import AccountConnections
from happy.gateway.delivery import DeliveryReport
from happy.gateway.engine import Ack, Socket, encode_event
from happy.gateway.envelope import Envelope
from happy.gateway.handshake import Handshake
from happy.gateway.in_flight import InFlight, SharedBounds
from happy.gateway.recovery.history import Event, already_delivered
from happy.gateway.recovery.recovery import Recovery
from happy.gateway.registrations import RpcRegistrations
from happy.services.rate_limit import Allowance

if TYPE_CHECKING:
    from happy.crypto import Claims
    from happy.domain.stream_position import StreamPosition
    from happy.gateway.recovery.session import RecoverableSession

NO_LABELS = ("", "")
REFUSAL_SECONDS = 0.2
"""After an in-doubt commit: errors are sent to those who wait for it before their connections are closed."""

_encode = msgspec.json.Encoder().encode


class Connection:
    """One authenticated socket: its account, scope and target, and the RPC methods it registered."""

    __slots__ = (
        "_in_flight",
        "_shared",
        "account_id",
        "allowance",
        "calls",
        "claims",
        "client",
        "foreground",
        "id",
        "is_user",
        "labels",
        "methods",
        "received",
        "recoverable",
        "scope",
        "since",
        "socket",
        "target",
    )

    def __init__(
        self,
        socket: Socket,
        account_id: AccountId,
        handshake: Handshake,
        labels: tuple[str, str] = NO_LABELS,
        shared: SharedBounds | None = None,
    ) -> None:
        self.id = ConnectionId(socket.id)
        self.socket = socket
        self.account_id = account_id
        self.scope = handshake.scope
        self.target = handshake.target
        self.client = handshake.client
        self.claims: Claims | None = None  # of its token, once it is known
        self.labels = labels  # `client` and `client_type`, for metrics
        self.is_user = handshake.explicit_user
        self.foreground = handshake.explicit_user and handshake.foreground
        self.methods: set[str] = set()
        self.calls = 0
        self.recoverable: RecoverableSession | None = None
        self.since = 0  # ms on the shared clock: events published before this were read over HTTP
        self.received: StreamPosition | None = None  # from another replica; not to be sent again
        self.allowance = Allowance()
        self._shared = shared
        self._in_flight: InFlight | None = None  # most connections never need it

    @property
    def in_flight(self) -> InFlight:
        """Its events that wait for the store."""
        if self._in_flight is None:
            self._in_flight = InFlight(self._shared or SharedBounds())
        return self._in_flight

    @property
    def busy(self) -> bool:
        """Whether any of its events is still in flight."""
        return self._in_flight is not None and self._in_flight.busy

    def withheld(self, event: Event) -> NotDelivered | None:
        """Why an event is not to be sent though the connection is in its audience; None if it is."""
        if self.id == event.skip:
            return NotDelivered.SENDER
        if self.socket.closed:
            return NotDelivered.CLOSING
        if event.origin is not None and already_delivered(event.origin, self.since, self.received):
            return NotDelivered.ALREADY_DELIVERED
        return None

    def request(self, method: str, params: msgspec.Raw | None, on_response: OnResponse) -> int:
        with_params = b"" if params is None else b',"params":%b' % params
        payload = b'{"method":%b%b}' % (_encode(method), with_params)
        return self.socket.request("rpc-request", payload, on_response)

    def cancel_request(self, number: int) -> None:
        self.socket.cancel_request(number)


Handler = Callable[[Connection, msgspec.Raw | None, Ack | None], Awaitable[None] | None]
"""Handles one event: gets its first argument, and the acknowledgement if the client wants one."""


class Hub:
    """Implements the domain's `EventSink`. Only `subscribe` waits."""

    def __init__(
        self,
        recovery: Recovery | None = None,
        bus: EventBus | None = None,
        report: DeliveryReport | None = None,
    ) -> None:
        self.recovery = recovery
        self.report = report or DeliveryReport()
        self.accounts_in_doubt: set[AccountId] = set()
        self._accounts: dict[AccountId, AccountConnections] = {}
        self.registrations = RpcRegistrations()
        self._signals: dict[str, Callable[[AccountId, str], None]] = {}
        self._bus = bus if bus is not None and bus.has_peers else None

    async def subscribe(self, account_id: AccountId) -> None:
        """Returns when this replica receives the account's envelopes of other replicas."""
        if self._bus is not None:
            await self._bus.subscribe(account_id)

    def unsubscribe(self, account_id: AccountId) -> None:
        """This replica has no connection of the account any more."""
        if self._bus is not None:
            self._bus.unsubscribe(account_id)

    def add(self, connection: Connection) -> None:
        connections = self._accounts.get(connection.account_id)
        if connections is None:
            connections = self._accounts[connection.account_id] = AccountConnections()
        connections.add(connection)
        surplus = connections.surplus()
        if surplus is not None:
            refused(self.report.metrics, "sockets", connection.account_id)
            surplus.socket.close()

    def remove(self, connection: Connection) -> None:
        """Forget a connection and its RPC registrations."""
        for method in list(connection.methods):
            self.registrations.unregister(connection, method)
        connections = self._accounts.get(connection.account_id)
        if connections is not None:
            connections.remove(connection)
            if not connections:
                del self._accounts[connection.account_id]

    def has_connections(self, account_id: AccountId) -> bool:
        """Whether any connection of the account is here."""
        return account_id in self._accounts

    def connections(self, account_id: AccountId | None = None) -> list[Connection]:
        """The connections of the account, or all: a snapshot that later changes do not affect."""
        accounts = self._accounts.values() if account_id is None else [self._accounts.get(account_id, ())]
        return [connection for connections in accounts for connection in connections]

    def count_connections(self) -> Counter[tuple[Scope, str]]:
        """Connections by scope and by the client named in the handshake."""
        return Counter((connection.scope, connection.client) for connection in self.connections())

    # Events

    def publish(
        self,
        account_id: AccountId,
        event: Update | Ephemeral,
        audience: Audience,
        *,
        skip: ConnectionId | None = None,
    ) -> None:
        payload = _encode(event)
        if self._bus is not None:
            envelope = Envelope(audience, skip, event.name, payload)
            self._bus.publish(account_id, *envelopes.encode(envelope))
        self._deliver(account_id, Event(audience, skip, event.name, payload))

    def begin_commit(self, account_id: AccountId) -> None:
        if self._bus is not None:
            self._bus.begin_commit(account_id)

    def end_commit(self, account_id: AccountId) -> None:
        if self._bus is not None:
            self._bus.end_commit(account_id)

    def in_doubt(self, account_id: AccountId) -> None:
        if account_id not in self.accounts_in_doubt:  # those are resynced once more anyway
            self.accounts_in_doubt.add(account_id)
            loop = asyncio.get_running_loop()
            loop.call_later(REFUSAL_SECONDS, self.resync, account_id)

    def resync(self, account_id: AccountId) -> None:
        if self._bus is not None:
            self._bus.resync(account_id)
        self.on_resync(account_id)

    def signal(self, account_id: AccountId, kind: str, text: str) -> None:
        """Publish to the other replicas subscribed to the account; signals are not sent to clients."""
        if self._bus is not None:
            self._bus.publish(account_id, envelopes.encode_signal(kind, text))

    def listen_for(self, kind: str, handler: Callable[[AccountId, str], None]) -> None:
        self._signals[kind] = handler

    def on_resync(self, account_id: AccountId, before: int | None = None) -> None:
        """Envelopes were lost on their way here: close the connections that may have missed them.

        Those that began after `before` (ms on the shared clock), if it is given, have missed nothing.
        """
        if self.recovery is not None:
            self.recovery.resync(account_id)
        for connection in list(self._accounts.get(account_id, ())):
            if before is None or connection.since < before:
                self.report.add(NotDelivered.RESYNC, account_id, connection.id, "lost events")
                connection.socket.close()

    def on_envelope(self, account_id: AccountId, envelope: bytes, origin: Origin) -> None:
        """Deliver what another replica published, without decoding the payload."""
        if envelope.startswith(envelopes.SIGNAL):
            kind, text = envelopes.decode_signal(envelope)
            if (handler := self._signals.get(kind)) is not None:
                handler(account_id, text)
        else:
            self._deliver(account_id, Event(*envelopes.decode(envelope), origin))

    def _deliver(self, account_id: AccountId, event: Event) -> None:
        connections, recovery = self._accounts.get(account_id), self.recovery
        receivers = () if connections is None else connections.receivers(event.audience)
        if not receivers:
            reason = NotDelivered.NO_CONNECTION if connections is None else NotDelivered.NOT_IN_AUDIENCE
            self.report.add(reason, account_id, None, event.name)
        if recovery is not None and (receivers or recovery.awaits(account_id)):
            packet = recovery.record(account_id, event)
        elif not receivers:
            return
        else:
            packet = encode_event(event.name, event.payload)
        soon = event.name == Ephemeral.name
        for connection in receivers:
            withheld = connection.withheld(event)
            if withheld is None:
                connection.socket.send(packet, soon=soon)
            else:
                self.report.add(withheld, account_id, connection.id, event.name)
        if connections is not None and receivers and self.report.verbose:
            self._explain_audience(account_id, event, connections)

    def _explain_audience(self, account_id: AccountId, event: Event, connections: AccountConnections) -> None:
        """Log the connections outside of the audience, at debug level alone: an account may have many."""
        reason = NotDelivered.NOT_IN_AUDIENCE
        for connection in connections:
            if not event.audience.includes(connection.scope, connection.target):
                self.report.explain(reason, account_id, connection.id, event.name)
