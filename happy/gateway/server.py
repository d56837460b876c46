"""Authenticates sockets, dispatches their events, cleans up when they disconnect.

protocol: realtime#transport-settings
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from happy.domain.errors import Unauthenticated
from happy.domain.ports.presence import FOREGROUND, Holder, Presence
from happy.domain.values import AccountId, ConnectionId, MachineId, ReplicaId, SessionId
from happy.gateway import handshake
from happy.gateway.engine import GOODBYE, Ack, Refused, Socket
from happy.gateway.events.acks import answer
from happy.gateway.events.payloads import AppState, parse
from happy.gateway.handshake import Handshake
from happy.gateway.hub import Connection, Handler, Hub
from happy.gateway.in_flight import OVERLAPPING, SharedBounds
from happy.gateway.recovery.catch_up import CatchingUp, CatchUp
from happy.gateway.recovery.session import RecoverableSession
from happy.metrics import Metrics
from happy.services.activity import Activity
from happy.services.identity import IdentityService
from happy.services.messages import MessageService

LINGER_SECONDS = 30.0
COUNTED = frozenset(["message", "session-alive", "machine-alive"]) | {
    f"artifact-{what}" for what in ("read", "update", "create", "delete")
}
"""Events that operators watch."""

RETURNED = "returned"
"""The signal that a client of another node has come to this one."""

Released = Callable[[Connection, list[str]], Awaitable[None] | None]

log = logging.getLogger(__name__)


class Gateway:
    """Implements the engine's `Application`."""

    def __init__(
        self,
        replica_id: ReplicaId,
        hub: Hub,
        presence: Presence,
        identity: IdentityService,
        activity: Activity,
        metrics: Metrics | None = None,
    ) -> None:
        self._node_id = replica_id
        self._hub = hub
        self._presence = presence
        self._identity = identity
        self._activity = activity
        self._metrics = metrics or Metrics()
        self._recovery = hub.recovery
        self._catch_up: CatchUp | None = None
        self._handlers: dict[str, Handler] = {"app-state": self._app_state}
        self._shared = SharedBounds()
        self._released: list[Released] = []
        self._leaving: dict[AccountId, asyncio.TimerHandle] = {}

    def read_messages_from(self, messages: MessageService) -> None:
        """Give them to clients that cannot be replayed what they missed, and read nothing by themselves."""
        if self._recovery is not None:
            self._catch_up = CatchUp(messages, self._recovery.cursors)

    def on_release(self, released: Released) -> None:
        """Call this for what a connection that has gone served."""
        self._released.append(released)

    def listen(self, handlers: Mapping[str, Handler]) -> None:
        """Handle these events from now on."""
        self._handlers |= handlers

    # Connections

    async def connect(self, socket: Socket, auth: msgspec.Raw | None, headers: Mapping[str, str]) -> None:
        """Raises Refused for a handshake that will never do; any other error closes the transport only."""
        try:
            asked = handshake.read(auth, headers)
            account_id = await self._identity.authenticate(asked.token)
        except handshake.Refusal as refusal:
            raise Refused(str(refusal)) from None
        except Unauthenticated:
            raise Refused(handshake.INVALID_TOKEN) from None
        past = await self._come_back(socket, account_id, asked)
        labels = self._metrics.client(asked.client)
        kind = CatchingUp if asked.needs_messages else Connection
        connection = kind(socket, account_id, asked, labels, self._shared)
        connection.past = past
        try:
            await self._arrived(connection)
        except BaseException:
            self._lost(connection)
            await self._departed(connection)
            raise
        replayed = self._take_up(connection, asked)
        socket.data = connection
        if not socket.closed:
            self._hub.add(connection)
            await self._give_messages(connection, asked, replayed)

    async def _come_back(
        self, socket: Socket, account_id: AccountId, asked: Handshake
    ) -> RecoverableSession | None:
        """Hear the account. A client that was lost a moment ago is the connection that it was."""
        self._stay(account_id)
        try:
            await self._hub.subscribe(account_id)
            if self._recovery is None:
                return None
            past = await self._recovery.claim(account_id, asked, socket.close)
        except BaseException:
            self._leave_if_quiet(account_id)
            raise
        if past is not None:
            socket.id = past.connection_id
        if past is not None and past.visit is not None:
            self._hub.signal(account_id, RETURNED, past.connection_id)
        return past

    def _take_up(self, connection: Connection, asked: Handshake) -> list[bytes]:
        """Send what was missed. Nothing else happens between this and being reached by events."""
        recovery, socket, replayed = self._recovery, connection.socket, list[bytes]()
        if recovery is None:
            return replayed
        if connection.past is None:
            connection.past = recovery.begin(connection.account_id, connection.id, asked, socket.close)
        else:
            missed = recovery.resume(connection.past, asked)
            replayed = [packet for packet in missed if not asked.was_given(packet)]
            for packet in replayed:
                socket.send(packet)
        past = connection.past
        connection.since, connection.heard, socket.private_id = past.since, past.heard, past.pid
        return replayed

    async def _give_messages(self, connection: Connection, asked: Handshake, replayed: list[bytes]) -> None:
        """What no replay has told a client that reads nothing by itself."""
        if self._catch_up is None or not isinstance(connection, CatchingUp):
            return
        try:
            await self._catch_up.run(connection, asked, replayed)
        except BaseException:
            self._hub.remove(connection)
            self._lost(connection)
            await self._departed(connection)
            raise

    def on_returned(self, account_id: AccountId, connection_id: str) -> None:
        """A client that was connected here is connected to another node."""
        if self._recovery is not None:
            self._recovery.moved(account_id, ConnectionId(connection_id))

    def _lost(self, connection: Connection, *, reason: str = "") -> None:
        if self._recovery is None or connection.past is None:
            return
        if reason == GOODBYE:
            self._recovery.left(connection.past)
        else:
            self._recovery.lost(connection.past, connection.socket.last_acknowledged)

    async def disconnected(self, socket: Socket, reason: str) -> None:
        """Called once per connected socket, after its last event."""
        connection: Connection = socket.data
        if connection.busy:
            await connection.in_flight.ended()
        log.debug("%s connection closed: %s", connection.scope, reason)
        self._metrics.events.add("disconnect", *connection.labels)
        methods = list(connection.methods)
        self._hub.remove(connection)
        self._lost(connection, reason=reason)
        try:
            for released in self._released:
                work = released(connection, methods)
                if work is not None:
                    await work
        finally:
            await self._departed(connection, goodbye=reason == GOODBYE)

    async def _arrived(self, connection: Connection) -> None:
        account_id, target = connection.account_id, connection.target
        if connection.scope == "machine":
            await self._activity.machine_connected(account_id, MachineId(target), connection.id)
        elif connection.scope == "session":
            self._activity.session_connected(account_id, SessionId(target), connection.id)
        elif connection.foreground:
            await self._presence.claim(account_id, FOREGROUND, self._holder(connection))

    async def _departed(self, connection: Connection, *, goodbye: bool = False) -> None:
        account_id, holder = connection.account_id, self._holder(connection)
        self._leave_if_quiet(account_id)
        try:
            self._activity.disconnected(connection.id, goodbye=goodbye)
            if connection.foreground:
                await self._presence.release(account_id, FOREGROUND, holder)
        finally:  # whoever comes back as this connection waits for its end
            if self._recovery is not None and connection.past is not None:
                self._recovery.release(connection.past)

    def _holder(self, connection: Connection) -> Holder:
        return Holder(self._node_id, connection.id)

    def _stay(self, account_id: AccountId) -> None:
        leaving = self._leaving.pop(account_id, None)
        if leaving is not None:
            leaving.cancel()

    def _leave_if_quiet(self, account_id: AccountId) -> None:
        if not self._hub.has_connections(account_id):
            self._leave_later(account_id)

    def _leave_later(self, account_id: AccountId) -> None:
        """A phone that flaps should not make the bus subscribe again and again, and wants what it missed."""
        self._stay(account_id)
        loop = asyncio.get_running_loop()
        self._leaving[account_id] = loop.call_later(LINGER_SECONDS, self._leave, account_id)

    def _leave(self, account_id: AccountId) -> None:
        del self._leaving[account_id]
        if self._hub.has_connections(account_id):
            return
        if self._recovery is not None and self._recovery.awaits(account_id):
            self._leave_later(account_id)
            return
        self._hub.unsubscribe(account_id)
        if self._recovery is not None:
            self._recovery.forget(account_id)

    def close(self) -> None:
        """Forget the accounts that were to be left; the bus closes by itself."""
        for timer in self._leaving.values():
            timer.cancel()
        self._leaving.clear()

    # Events

    def event(
        self, socket: Socket, name: str, args: list[msgspec.Raw], ack: Ack | None
    ) -> Awaitable[None] | None:
        """Unknown events are ignored, and so is everything behind the first argument."""
        connection: Connection = socket.data
        if connection.busy and name not in OVERLAPPING:
            return self._in_turn(connection, name, args, ack)
        return self._handle(connection, name, args, ack)

    async def _in_turn(
        self, connection: Connection, name: str, args: list[msgspec.Raw], ack: Ack | None
    ) -> None:
        """Clients ask for a `ping` before they leave: its answer says that all before it is stored."""
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
        if handler is not None:
            return handler(connection, args[0] if args else None, ack)
        if name == "ping" and not args:
            answer(ack)
        return None

    def _count(self, name: str, connection: Connection) -> None:
        self._metrics.events.add(name, *connection.labels)
        if name == "session-alive":
            self._metrics.session_beats.add()
        elif name == "machine-alive":
            self._metrics.machine_beats.add()

    async def _app_state(
        self,
        connection: Connection,
        payload: msgspec.Raw | None,
        ack: Ack | None,  # noqa: ARG002
    ) -> None:
        """Remember whether somebody looks at this client; only explicitly user-scoped ones count."""
        told = parse(payload, AppState)
        active = told is not None and told.state == "active"
        if not connection.is_user or active == connection.foreground:
            return
        connection.foreground = active
        change = self._presence.claim if active else self._presence.release
        await change(connection.account_id, FOREGROUND, self._holder(connection))
