"""Authenticates sockets, dispatches their events, cleans up when they disconnect.

protocol: realtime#transport-settings
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import NamedTuple

import msgspec

from happy.domain.json_text import scalar
from happy.domain.ports.delivery import NotDelivered
from happy.domain.ports.presence import FOREGROUND, Holder, Presence
from happy.domain.values import AccountId, ConnectionId, MachineId, SessionId
from happy.gateway.access import identify, note_use
from happy.gateway.delivery import DeliveryReport, Reconnect, RecoveryRefused
from happy.gateway.engine import GOODBYE, OVERFLOW, Ack, Socket
from happy.gateway.events.acks import answer
from happy.gateway.events.payloads import AppState, parse
from happy.gateway.handshake import Handshake
from happy.gateway.hub import Connection, Handler, Hub
from happy.gateway.in_flight import OVERLAPPING, SharedBounds
from happy.gateway.large_events import LargeEvents
from happy.gateway.recovery.catch_up import CatchingUp, CatchUp
from happy.gateway.recovery.session import RecoverableSession
from happy.gateway.subscriptions import Subscriptions
from happy.services.activity import Activity
from happy.services.caller import ACCOUNT
from happy.services.identity import IdentityService
from happy.services.large_work import LARGE_BYTES

COUNTED = frozenset(["message", "session-alive", "machine-alive"]) | {
    f"artifact-{what}" for what in ("read", "update", "create", "delete")
}
"""Events that are counted in `websocket_events_total`."""

RETURNED = "returned"
"""The signal to the replica that a client has left: the client is connected to this one."""

Released = Callable[[Connection, list[str]], Awaitable[None] | None]

log = logging.getLogger(__name__)


class EventHandlers(NamedTuple):
    """`by_name` handle the events of clients; `released` gets the RPC methods of a connection that ended."""

    by_name: Mapping[str, Handler]
    released: Released


class Gateway:
    """Implements the engine's `Application`.

    `catch_up` sends messages to clients that are not recovered and never read them over HTTP.
    """

    def __init__(
        self,
        hub: Hub,
        presence: Presence,
        identity: IdentityService,
        activity: Activity,
        handlers: EventHandlers | None = None,
        catch_up: CatchUp | None = None,
    ) -> None:
        self._hub = hub
        self._presence = presence
        self._identity = identity
        self._activity = activity
        self._report: DeliveryReport = hub.report
        self._replica_id = hub.report.replica_id
        self._metrics = hub.report.metrics
        self._recovery = hub.recovery
        self._catch_up = catch_up
        self._handlers: dict[str, Handler] = {"app-state": self._app_state}
        self._released: Released | None = None
        if handlers is not None:
            self._handlers |= handlers.by_name
            self._released = handlers.released
        self._shared = SharedBounds()
        self._large_events = LargeEvents(self._metrics)
        self._subscriptions = Subscriptions(hub)

    # Connections

    async def connect(self, socket: Socket, auth: msgspec.Raw | None, headers: Mapping[str, str]) -> None:
        """Raises Refused for an invalid handshake; any other error closes the transport: clients retry."""
        handshake, claims = await identify(self._identity, socket, auth, headers)
        account_id, reconnect = AccountId(claims.account_id), Reconnect(handshake.client)
        ACCOUNT.set(account_id)
        session = await self._claim(socket, account_id, handshake, reconnect)
        kind = CatchingUp if handshake.needs_messages else Connection
        connection = kind(socket, account_id, handshake, self._metrics.client(handshake.client), self._shared)
        connection.recoverable, connection.claims = session, claims
        try:
            await self._attend(connection)
        except BaseException:
            self._lost(connection)
            await self._departed(connection)
            raise
        replayed = self._replay(connection, handshake, reconnect)
        socket.data = connection
        if not socket.closed:
            self._hub.add(connection)
            note_use(self._identity, connection, headers.get("user-agent", ""))
            await self._give_messages(connection, handshake, replayed)
        if self._identity.refuses(claims):  # since it was identified
            socket.close()

    async def _claim(
        self, socket: Socket, account_id: AccountId, handshake: Handshake, reconnect: Reconnect
    ) -> RecoverableSession | None:
        """Subscribe to the account; the lost session of a client that is recovered."""
        self._subscriptions.keep(account_id)
        try:
            await self._hub.subscribe(account_id)
            if self._recovery is None or not handshake.recovery_token:
                return None
            session = await self._recovery.claim(account_id, handshake, socket.close)
        except RecoveryRefused as refused:
            reconnect.refused, reconnect.left = refused.reason, refused.left
            return None
        except BaseException:
            self._subscriptions.end_if_quiet(account_id)
            raise
        socket.id, reconnect.left = session.connection_id, session.left
        if session.restored is not None:
            self._hub.signal(account_id, RETURNED, session.connection_id)
        return session

    def _replay(self, connection: Connection, handshake: Handshake, reconnect: Reconnect) -> list[bytes]:
        """Send what was missed. The caller adds the connection to the hub without waiting in between."""
        recovery, socket, packets = self._recovery, connection.socket, list[bytes]()
        if recovery is None:
            return packets
        session = connection.recoverable
        if session is None:
            begun = recovery.begin(connection.account_id, connection.id, handshake, socket.close)
            session = connection.recoverable = begun
        else:
            missed = recovery.resume(session, handshake)
            packets = [packet for packet in missed if not handshake.was_given(packet)]
            for packet in packets:
                socket.send(packet)
            for _ in range(len(missed) - len(packets)):
                self._not_delivered(NotDelivered.ANNOUNCED_TWICE, connection, "message")
            reconnect.refused = session.refused(handshake)
        connection.since, connection.received = session.since, session.received
        socket.recovery_token = session.recovery_token
        if handshake.recovery_token:
            reconnect.replayed = len(packets)
            self._report.reconnected(connection.account_id, connection.id, reconnect)
        return packets

    async def _give_messages(
        self, connection: Connection, handshake: Handshake, replayed: list[bytes]
    ) -> None:
        """Send missed messages that were not replayed to a client that never reads them over HTTP."""
        if self._catch_up is None or not isinstance(connection, CatchingUp):
            return
        try:
            await self._catch_up.run(connection, handshake, replayed)
        except BaseException:
            self._hub.remove(connection)
            self._lost(connection)
            await self._departed(connection)
            raise

    def on_returned(self, account_id: AccountId, connection_id: str) -> None:
        """A client that was connected here is connected to another replica."""
        if self._recovery is not None:
            self._recovery.moved(account_id, ConnectionId(connection_id))

    def _lost(self, connection: Connection, *, reason: str = "") -> None:
        if reason == OVERFLOW:
            self._not_delivered(NotDelivered.QUEUE_OVERFLOW, connection, "packet")
        if self._recovery is None or connection.recoverable is None:
            return
        if reason == GOODBYE:
            self._recovery.goodbye(connection.recoverable)
        else:
            self._recovery.lost(connection.recoverable, connection.socket.last_acknowledged)

    def _not_delivered(self, reason: NotDelivered, connection: Connection, what: str) -> None:
        self._report.add(reason, connection.account_id, connection.id, what)

    async def disconnected(self, socket: Socket, reason: str) -> None:
        """Called once per connected socket, after its last event."""
        connection: Connection = socket.data
        if connection.busy:
            await connection.in_flight.ended()
        fields = {"account": connection.account_id, "connection": connection.id, "replica": self._replica_id}
        log.debug("%s connection closed: %s", connection.scope, reason, extra=fields)
        self._metrics.events.add("disconnect", *connection.labels)
        methods = list(connection.methods)
        self._hub.remove(connection)
        self._lost(connection, reason=reason)
        try:
            if self._released is not None and (work := self._released(connection, methods)) is not None:
                await work
        finally:
            await self._departed(connection, goodbye=reason == GOODBYE)

    async def _attend(self, connection: Connection) -> None:
        """Its machine or session is attended from now on, or its account looked at."""
        account_id, target = connection.account_id, connection.target
        if connection.scope == "machine":
            await self._activity.machine_connected(account_id, MachineId(target), connection.id)
        elif connection.scope == "session":
            self._activity.session_connected(account_id, SessionId(target), connection.id)
        elif connection.foreground:
            await self._presence.claim(account_id, FOREGROUND, self._holder(connection))

    async def _departed(self, connection: Connection, *, goodbye: bool = False) -> None:
        account_id, holder = connection.account_id, self._holder(connection)
        self._subscriptions.end_if_quiet(account_id)
        try:
            self._activity.disconnected(connection.id, goodbye=goodbye)
            if connection.foreground:
                await self._presence.release(account_id, FOREGROUND, holder)
        finally:  # a claim of its session may be waiting for this
            if connection.recoverable is not None:
                connection.recoverable.release()

    def _holder(self, connection: Connection) -> Holder:
        return Holder(self._replica_id, connection.id)

    def close(self) -> None:
        """Cancel the timers of accounts to unsubscribe; the bus is closed by its owner."""
        self._subscriptions.close()

    # Events

    def event(
        self, socket: Socket, name: str, args: list[msgspec.Raw], ack: Ack | None
    ) -> Awaitable[None] | None:
        """Unknown events and all arguments behind the first are ignored."""
        connection: Connection = socket.data
        ACCOUNT.set(connection.account_id)
        if args and len(args[0]) >= LARGE_BYTES:
            begin = partial(self._begin, connection, name, args, ack)
            return self._large_events.hold(connection, len(args[0]), begin)
        return self._begin(connection, name, args, ack)

    def _begin(
        self, connection: Connection, name: str, args: list[msgspec.Raw], ack: Ack | None
    ) -> Awaitable[None] | None:
        if name not in OVERLAPPING and connection.busy:
            return self._in_turn(connection, name, args, ack)
        return self._handle(connection, name, args, ack)

    async def _in_turn(
        self, connection: Connection, name: str, args: list[msgspec.Raw], ack: Ack | None
    ) -> None:
        """Wait for events in flight: the acknowledgement of a `ping` says that all before it are stored."""
        await connection.in_flight.ended()
        work = self._handle(connection, name, args, ack)
        if work is not None:
            await work

    def _handle(
        self, connection: Connection, name: str, args: list[msgspec.Raw], ack: Ack | None
    ) -> Awaitable[None] | None:
        handler = self._handlers.get(name)
        if name in COUNTED:
            self._count(name, connection)
        if handler is None and name == "ping" and not args:
            answer(ack)
        return None if handler is None else handler(connection, args[0] if args else None, ack)

    def _count(self, name: str, connection: Connection) -> None:
        self._metrics.events.add(name, *connection.labels)
        if name == "session-alive":
            self._metrics.session_beats.add()
        elif name == "machine-alive":
            self._metrics.machine_beats.add()

    async def _app_state(self, connection: Connection, payload: msgspec.Raw | None, _: Ack | None) -> None:
        """Record whether the app is in the foreground; only explicitly user-scoped clients count."""
        change = parse(payload, AppState)
        active = change is not None and scalar(change.state) == "active"
        if not connection.is_user or active == connection.foreground:
            return
        connection.foreground = active
        apply = self._presence.claim if active else self._presence.release
        await apply(connection.account_id, FOREGROUND, self._holder(connection))
