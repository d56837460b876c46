"""Clients that were connected to another node: who they were, and what they missed since."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterator
from functools import reduce

import msgspec
from msgspec import Struct

from happy.domain.errors import Unavailable
from happy.domain.events import Scope
from happy.domain.ports.cluster import SharedHistory, StoredEnvelope
from happy.domain.stream_position import StreamPosition, parse
from happy.domain.values import AccountId, ConnectionId
from happy.gateway import envelope
from happy.gateway.engine import encode_event, encode_event_at
from happy.gateway.handshake import Handshake
from happy.gateway.recovery.cursors import advanced, cursor_text
from happy.gateway.recovery.history import History, heard_with, shared_part
from happy.gateway.recovery.replay import State, is_message, state_of

PROOF_BYTES = 16
FRESH_SECONDS = 3000
"""So long after its first connection, nothing that a client missed can have been forgotten unnoticed."""


class Identity(Struct, frozen=True, array_like=True):
    """What a private id says. Every node of the cluster can read it, nobody else can make one."""

    connection_id: ConnectionId
    scope: Scope
    target: str
    began: str
    issued: int


class DisconnectRecord(Struct, frozen=True, array_like=True):
    """How a connection ended. `lost_at` is on that clock in s, None after a goodbye."""

    lost_at: float | None
    told: str = ""


class RestoredSession(Struct, frozen=True):
    """A client that may take up where it was: its packets up to `start`, and what it heard without them."""

    connection_id: ConnectionId
    packets: list[bytes]
    start: int
    heard: StreamPosition


class HistoryGap(Exception):
    """Some of what the client missed may be gone."""


class ClusterRecovery:
    """`window` is how long a client may have been away, in s, on the clock that all replicas share."""

    def __init__(
        self, history: SharedHistory, key: bytes, window: float, now: Callable[[], float] | None = None
    ) -> None:
        self.mark = history.position_text
        self.clock = history.now
        self.returned = history.delete_disconnect
        self._history = history
        self._key = key
        self._window = window
        self._now = now or (lambda: history.now() / 1000)

    # Private ids

    def private_id(
        self, account_id: AccountId, connection_id: ConnectionId, scope: Scope, target: str
    ) -> str:
        """The id by which any node knows the client again; it holds how far the account was heard now."""
        began = self._history.position_text(account_id)
        identity = Identity(connection_id, scope, target, began, int(self._now()))
        body = msgspec.json.encode(identity)
        return f"{_text(body)}.{_text(self._proof(account_id, body))}"

    def _identity(self, account_id: AccountId, asked: Handshake) -> Identity | None:
        """Whoever comes back must be who left."""
        encoded, _, proof = asked.pid.partition(".")
        try:
            body = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        except (Base64Error, ValueError):
            return None
        if not hmac.compare_digest(_text(self._proof(account_id, body)).encode(), proof.encode()):
            return None
        try:
            identity = msgspec.json.decode(body, type=Identity)
        except msgspec.ValidationError:  # of another version
            return None
        same = (identity.scope, identity.target) == (asked.scope, asked.target)
        return identity if same else None

    def _proof(self, account_id: AccountId, body: bytes) -> bytes:
        return hmac.digest(self._key, account_id.encode() + b"\0" + body, "sha256")[:PROOF_BYTES]

    # Endings

    def left(self, connection_id: ConnectionId) -> None:
        """The client said goodbye."""
        self._history.save_disconnect(connection_id, msgspec.json.encode(DisconnectRecord(None)))

    def lost(self, connection_id: ConnectionId, told: str) -> None:
        """The link broke; the client has heard at least what came before `told`."""
        self._history.save_disconnect(connection_id, msgspec.json.encode(DisconnectRecord(self._now(), told)))

    # Coming

    async def find(
        self, account_id: AccountId, asked: Handshake, kept_here: History
    ) -> RestoredSession | None:
        """What a client missed, up to some event here; None if it is a stranger or was away for too long.

        The account is watched, and what is heard is being kept already. Raises Lost.
        """
        identity = self._identity(account_id, asked)
        if identity is None:
            return None
        try:
            ending = await self._ending(identity)
            if ending is not None and self._is_over(ending):
                return None
            heard = self._heard(account_id, identity, asked, ending)
            unbroken = ending is not None or self._now() - identity.issued < FRESH_SECONDS
            start = kept_here.position  # nothing happens between this and the question
            kept = await self._history.since(account_id, heard, unbroken=unbroken)
        except (Unavailable, msgspec.ValidationError):
            raise HistoryGap from None
        if kept is None:
            raise HistoryGap
        packets = _packets(kept, heard, identity, asked)
        return RestoredSession(identity.connection_id, list(packets), start, heard)

    async def _ending(self, identity: Identity) -> DisconnectRecord | None:
        note = await self._history.load_disconnect(identity.connection_id)
        return None if note is None else msgspec.json.decode(note, type=DisconnectRecord)

    def _is_over(self, ending: DisconnectRecord) -> bool:
        return ending.lost_at is None or self._now() - ending.lost_at > self._window

    def _heard(
        self, account_id: AccountId, identity: Identity, asked: Handshake, ending: DisconnectRecord | None
    ) -> StreamPosition:
        """How far the client heard: before its first connection, by its offset, by pings it answered."""
        here = self._history.position(account_id)
        if here is None or (asked.offset and not shared_part(asked.offset)):
            raise HistoryGap
        told = [heard_with(asked.offset), parse(identity.began), parse(ending.told if ending else "")]
        current = [position for position in told if position is not None and position.epoch == here.epoch]
        if not current:
            raise HistoryGap
        return reduce(StreamPosition.joined, current)


def _packets(
    kept: list[StoredEnvelope], heard: StreamPosition, identity: Identity, asked: Handshake
) -> Iterator[bytes]:
    """The packets that the client missed. Each says how far it has heard with it, but for states."""
    cursor = asked.read_up_to if asked.needs_messages else None
    offset, replica_offsets, last = heard.offset, dict(heard.replica_offsets), _last_states(kept)
    for event in kept:
        offset = max(offset, event.offset)
        if event.ahead:
            replica_offsets[event.origin.replica_id] = event.origin.number
        if heard.covers(event.origin.replica_id, event.origin.number) or event.envelope.startswith(
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
        elif not (asked.reads_messages and is_message(payload)):
            cursor = advanced(cursor, payload)
            position = StreamPosition(heard.epoch, offset, replica_offsets).text()
            yield encode_event_at(f"-{position}{cursor_text(cursor)}", name, payload)


def _last_states(kept: list[StoredEnvelope]) -> dict[State, StoredEnvelope]:
    """The last event that tells of each state, whether the client has heard it or not."""
    last: dict[State, StoredEnvelope] = {}
    for event in kept:
        if not event.envelope.startswith(envelope.SIGNAL):
            _, _, name, payload = envelope.decode(event.envelope)
            state = state_of(name, payload)
            if state is not None:
                last[state] = event
    return last


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
