"""Recovery of clients that were connected to another replica: tokens, disconnect records, shared history.

protocol: realtime#recovery
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterator, Sequence
from functools import reduce

import msgspec
from msgspec import Struct

from happy.domain.errors import Unavailable
from happy.domain.events import Scope
from happy.domain.ports.cluster import SharedHistory, StoredEnvelope
from happy.domain.ports.delivery import NotDelivered
from happy.domain.stream_position import StreamPosition, parse
from happy.domain.values import AccountId, ConnectionId, ReplicaId
from happy.gateway import envelope
from happy.gateway.delivery import RecoveryRefused
from happy.gateway.engine import encode_event, encode_event_at
from happy.gateway.handshake import Handshake
from happy.gateway.recovery.cursors import advanced, cursor_text
from happy.gateway.recovery.history import History, received_with, shared_part
from happy.gateway.recovery.replay import State, is_message, state_of

SIGNATURE_BYTES = 16
FRESH_SECONDS = 3000
"""For so long after its first connection, a history gap is certain to be noticed."""


class Identity(Struct, frozen=True, array_like=True):
    """The content of a recovery token. Every replica can read it; it is signed with the cluster's key."""

    connection_id: ConnectionId
    scope: Scope
    target: str
    began: str
    issued: int


class DisconnectRecord(Struct, frozen=True, array_like=True):
    """How a connection ended: `lost_at` in s on the shared clock, None after a goodbye.

    The client has received everything up to `position`, if that is known. Another release may omit the
    later fields, or add some.
    """

    lost_at: float | None
    position: str = ""
    replica_id: ReplicaId = ReplicaId("")


class RestoredSession(Struct, frozen=True):
    """A client to be recovered: missed packets up to local event `start`, and its position before them.

    `left` is the replica it was connected to, empty if that did not notice the loss.
    """

    connection_id: ConnectionId
    packets: list[bytes]
    start: int
    received: StreamPosition
    left: str


class ClusterRecovery:
    """`window` is how long a client may have been away, in s, on the clock that all replicas share.

    `key` signs recovery tokens, and is the same on all replicas; those of `previous_keys` are accepted.
    """

    def __init__(
        self,
        history: SharedHistory,
        key: bytes,
        window: float,
        now: Callable[[], float] | None = None,
        replica_id: ReplicaId | None = None,
        previous_keys: Sequence[bytes] = (),
    ) -> None:
        self._history = history
        self._keys = (key, *previous_keys)
        self._window = window
        self._now = now or (lambda: history.now() / 1000)
        self._replica_id = replica_id or ReplicaId("")

    def position_text(self, account_id: AccountId) -> str:
        """The text of the account's stream position, empty while that is unknown."""
        return self._history.position_text(account_id)

    def clock(self) -> int:
        """ms on the shared clock."""
        return self._history.now()

    # Recovery tokens

    def recovery_token(
        self, account_id: AccountId, connection_id: ConnectionId, scope: Scope, target: str
    ) -> str:
        """A recovery token that every replica accepts. It contains the stream position of now."""
        began = self._history.position_text(account_id)
        identity = Identity(connection_id, scope, target, began, int(self._now()))
        body = msgspec.json.encode(identity)
        return f"{_text(body)}.{_signature(self._keys[0], account_id, body)}"

    def _identity(self, account_id: AccountId, handshake: Handshake) -> Identity:
        """Raises RecoveryRefused unless account, scope and target match those of the lost session."""
        encoded, _, signature = handshake.recovery_token.partition(".")
        try:
            body = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        except (Base64Error, ValueError):
            raise RecoveryRefused(NotDelivered.UNKNOWN_TOKEN) from None
        genuine = (_signature(key, account_id, body) for key in self._keys)
        if not any(hmac.compare_digest(each.encode(), signature.encode()) for each in genuine):
            raise RecoveryRefused(NotDelivered.UNKNOWN_TOKEN)
        try:
            identity = msgspec.json.decode(body, type=Identity)
        except msgspec.ValidationError:  # of another release
            raise RecoveryRefused(NotDelivered.UNKNOWN_TOKEN) from None
        if (identity.scope, identity.target) != (handshake.scope, handshake.target):
            raise RecoveryRefused(NotDelivered.OTHER_TARGET)
        return identity

    # Disconnect records

    def goodbye(self, connection_id: ConnectionId) -> None:
        """The client disconnected by itself: it is not to be recovered."""
        record = DisconnectRecord(None, "", self._replica_id)
        self._history.save_disconnect(connection_id, msgspec.json.encode(record))

    def lost(self, connection_id: ConnectionId, position: str) -> None:
        """The connection broke; the client has received at least everything up to `position`."""
        record = DisconnectRecord(self._now(), position, self._replica_id)
        self._history.save_disconnect(connection_id, msgspec.json.encode(record))

    def returned(self, connection_id: ConnectionId) -> None:
        """The client is connected again: forget its disconnect record."""
        self._history.delete_disconnect(connection_id)

    # Restoring

    async def find(self, account_id: AccountId, handshake: Handshake, local: History) -> RestoredSession:
        """What a client missed, up to the newest event of the `local` history.

        The replica is subscribed to the account, and keeps its events from now on. Raises RecoveryRefused.
        """
        identity = self._identity(account_id, handshake)
        left = ""
        try:
            record = await self._record(identity)
            if record is not None:
                left = record.replica_id
                self._check_window(record)
            received = self._received(account_id, identity, handshake, record)
            unbroken = record is not None or self._now() - identity.issued < FRESH_SECONDS
            start = local.newest_number  # of the same moment as the start of the request to Redis
            kept = await self._history.since(account_id, received, unbroken=unbroken)
        except Unavailable:
            raise RecoveryRefused(NotDelivered.REDIS_UNAVAILABLE, left) from None
        except msgspec.ValidationError:  # a record of another release
            raise RecoveryRefused(NotDelivered.POSITION_UNKNOWN) from None
        if kept is None:
            raise RecoveryRefused(NotDelivered.HISTORY_GAP, left)
        packets = list(_packets(kept, received, identity, handshake))
        return RestoredSession(identity.connection_id, packets, start, received, left)

    async def _record(self, identity: Identity) -> DisconnectRecord | None:
        record = await self._history.load_disconnect(identity.connection_id)
        return None if record is None else msgspec.json.decode(record, type=DisconnectRecord)

    def _check_window(self, record: DisconnectRecord) -> None:
        """Raises RecoveryRefused."""
        if record.lost_at is None:
            raise RecoveryRefused(NotDelivered.GOODBYE, record.replica_id)
        if self._now() - record.lost_at > self._window:
            raise RecoveryRefused(NotDelivered.WINDOW_OVER, record.replica_id)

    def _received(
        self,
        account_id: AccountId,
        identity: Identity,
        handshake: Handshake,
        record: DisconnectRecord | None,
    ) -> StreamPosition:
        """How far the client has received: by its token, its offset, and the pongs it sent, joined.

        Raises RecoveryRefused if none of them is a position in the current epoch.
        """
        now = self._history.position(account_id)
        if now is None or (handshake.offset and not shared_part(handshake.offset)):
            raise RecoveryRefused(NotDelivered.POSITION_UNKNOWN, record.replica_id if record else "")
        by_pong = parse(record.position) if record else None
        candidates = [received_with(handshake.offset), parse(identity.began), by_pong]
        current = [
            position for position in candidates if position is not None and position.epoch == now.epoch
        ]
        if not current:
            raise RecoveryRefused(NotDelivered.POSITION_UNKNOWN, record.replica_id if record else "")
        return reduce(StreamPosition.joined, current)


def _packets(
    kept: list[StoredEnvelope], received: StreamPosition, identity: Identity, handshake: Handshake
) -> Iterator[bytes]:
    """The packets that the client missed. Each but those of states has the stream position after it."""
    cursor = handshake.read_up_to if handshake.needs_messages else None
    offset, replica_offsets, last = received.offset, dict(received.replica_offsets), _last_states(kept)
    for event in kept:
        offset = max(offset, event.offset)
        if event.ahead:
            replica_offsets[event.origin.replica_id] = event.origin.number
        if received.covers(event.origin.replica_id, event.origin.number) or event.envelope.startswith(
            envelope.SIGNAL
        ):
            continue
        audience, skip, name, payload = envelope.decode(event.envelope)
        if skip == identity.connection_id or not audience.includes(identity.scope, identity.target):
            continue
        state = state_of(name, payload)
        if state is not None:
            if last[state] is event:
                yield encode_event(name, payload)
        elif not (handshake.reads_messages and is_message(payload)):
            cursor = advanced(cursor, payload)
            position = StreamPosition(received.epoch, offset, replica_offsets).text()
            yield encode_event_at(f"-{position}{cursor_text(cursor)}", name, payload)


def _last_states(kept: list[StoredEnvelope]) -> dict[State, StoredEnvelope]:
    """The last event of each state, including events that the client has received."""
    last: dict[State, StoredEnvelope] = {}
    for event in kept:
        if not event.envelope.startswith(envelope.SIGNAL):
            _, _, name, payload = envelope.decode(event.envelope)
            state = state_of(name, payload)
            if state is not None:
                last[state] = event
    return last


def _signature(key: bytes, account_id: AccountId, body: bytes) -> str:
    return _text(hmac.digest(key, account_id.encode() + b"\0" + body, "sha256")[:SIGNATURE_BYTES])


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
