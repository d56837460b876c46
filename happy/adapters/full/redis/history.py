"""The last minutes, shared by all replicas: the envelopes that Redis keeps, and disconnect records."""

from happy.adapters.full.redis import envelopes
from happy.adapters.full.redis.account import HEADER, RESYNC
from happy.adapters.full.redis.bus import RedisBus
from happy.adapters.full.redis.link import RedisLink
from happy.domain.errors import Unavailable
from happy.domain.ports.cluster import Origin, StoredEnvelope
from happy.domain.stream_position import StreamPosition
from happy.domain.values import AccountId, ConnectionId, ReplicaId


class RedisHistory:
    """Implements `SharedHistory`; `seconds` is how long disconnect records are kept."""

    def __init__(self, link: RedisLink, bus: RedisBus, seconds: int) -> None:
        self._link = link
        self._bus = bus
        self._seconds = seconds
        self._prefix = link.prefix

    def now(self) -> int:
        return self._bus.now()

    def position(self, account_id: AccountId) -> StreamPosition | None:
        offset, epoch = self._bus.received_offset(account_id), self._bus.epochs.current
        if offset is None or epoch is None:
            return None
        return StreamPosition(epoch, offset, {self._bus.replica_id: self._bus.number})

    def position_text(self, account_id: AccountId) -> str:
        """`position(...).text()`, without the struct: it is made for every event."""
        bus = self._bus
        offset = bus.received_offset(account_id)
        return "" if offset is None else f"{bus.epochs.current}.{offset:x}.{bus.replica_id}.{bus.number:x}"

    async def since(
        self, account_id: AccountId, position: StreamPosition, *, unbroken: bool
    ) -> list[StoredEnvelope] | None:
        """Envelopes up to the offset received here, and all that this replica published.

        Others' envelopes beyond that offset arrive by the subscription.
        """
        received = self._bus.received_offset(account_id)
        if received is None:
            raise Unavailable("this replica is not subscribed to the account yet")
        if self._bus.epochs.current != position.epoch:
            return None
        kept = await self._bus.envelopes.after(self._link.execute, account_id, position.offset)
        complete = _reaches_back(kept, position.offset, unbroken=unbroken) and all(
            map(_is_whole, kept.envelopes)
        )
        if not complete or await self._has_intent_of_dead_replica(account_id, position):
            return None
        found = (_stored(offset, message, received) for offset, message in kept.envelopes)
        return [
            event for event in found if not event.ahead or event.origin.replica_id == self._bus.replica_id
        ]

    async def _has_intent_of_dead_replica(self, account_id: AccountId, position: StreamPosition) -> bool:
        """Whether a replica that the client was connected to was killed before it published everything."""
        others = (replica for replica in position.replica_offsets if replica != self._bus.replica_id)
        lost = [await self._bus.intents.is_left_by_dead(replica_id, account_id) for replica_id in others]
        return any(lost)

    def save_disconnect(self, connection_id: ConnectionId, record: bytes) -> None:
        self._link.send("SET", self._key(connection_id), record, "EX", self._seconds)

    def delete_disconnect(self, connection_id: ConnectionId) -> None:
        self._link.send("DEL", self._key(connection_id))

    async def load_disconnect(self, connection_id: ConnectionId) -> bytes | None:
        record: bytes | None = await self._link.execute("GET", self._key(connection_id))
        return record

    def _key(self, connection_id: ConnectionId) -> str:
        return f"{self._prefix}l:{connection_id}"


def _is_whole(envelope: tuple[int, bytes]) -> bool:
    """False for an envelope that was too large to be kept, and for a resync: others were lost before it."""
    return bool(envelope[1]) and HEADER.unpack_from(envelope[1])[3] != RESYNC


def _stored(offset: int, message: bytes, received: int) -> StoredEnvelope:
    sender, number, at, _ = HEADER.unpack_from(message)
    origin = Origin(ReplicaId(sender.decode()), number, at)
    return StoredEnvelope(min(offset, received), origin, message[HEADER.size :], ahead=offset > received)


def _reaches_back(kept: envelopes.HistorySlice, offset: int, *, unbroken: bool) -> bool:
    """Whether what Redis has left of an account begins at or before `offset`.

    Zeros mean that nothing was published for an hour, or that nothing ever was.
    """
    if kept.last == offset:
        return True
    if kept.last == 0:
        return unbroken
    if kept.first == 0:
        return False
    return kept.before <= offset if kept.before else unbroken or kept.first <= offset
