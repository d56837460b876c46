"""What all nodes know of the last minutes: the frames that Redis keeps, and how connections ended."""

from happy.adapters.full.redis import envelopes
from happy.adapters.full.redis.bus import GAP, HEADER, RedisBus
from happy.adapters.full.redis.link import RedisLink
from happy.domain.errors import Unavailable
from happy.domain.ports.cluster import Kept, Origin
from happy.domain.stream_position import StreamPosition
from happy.domain.values import AccountId, ConnectionId, ReplicaId


class RedisHistory:
    """Implements `SharedHistory`; `seconds` is how long endings are remembered."""

    def __init__(self, link: RedisLink, bus: RedisBus, seconds: int) -> None:
        self.now = bus.now
        self._link = link
        self._bus = bus
        self._seconds = seconds
        self._prefix = link.prefix

    def position(self, account_id: AccountId) -> StreamPosition | None:
        place, epoch = self._bus.heard(account_id), self._bus.epoch
        if place is None or epoch is None:
            return None
        return StreamPosition(epoch, place, {self._bus.replica_id: self._bus.number})

    def mark(self, account_id: AccountId) -> str:
        """The same as `position(...).text()`: it is made for every event."""
        bus = self._bus
        place = bus.heard(account_id)
        return "" if place is None else f"{bus.epoch}.{place:x}.{bus.replica_id}.{bus.number:x}"

    async def since(
        self, account_id: AccountId, position: StreamPosition, *, unbroken: bool
    ) -> list[Kept] | None:
        """The frames up to the place heard here, and all of this node's own: they are asked for after these.

        The numbers of others' frames beyond that place come by the subscription.
        """
        heard = self._bus.heard(account_id)
        if heard is None:
            raise Unavailable("this node does not hear the account yet")
        if self._bus.epoch != position.epoch:
            return None
        kept = await self._bus.envelopes.after(self._link.ask, account_id, position.place)
        complete = _reaches_back(kept, position.place, unbroken=unbroken) and all(
            map(_is_whole, kept.envelopes)
        )
        if not complete or await self._is_owed(account_id, position):
            return None
        found = (_kept(place, message, heard) for place, message in kept.envelopes)
        return [
            event for event in found if not event.ahead or event.origin.replica_id == self._bus.replica_id
        ]

    async def _is_owed(self, account_id: AccountId, position: StreamPosition) -> bool:
        """Whether a node that the client was connected to was killed before it published everything."""
        nodes = (replica_id for replica_id in position.known if replica_id != self._bus.replica_id)
        owed = [await self._bus.unpublished.has_marked(replica_id, account_id) for replica_id in nodes]
        return any(owed)

    def ended(self, connection_id: ConnectionId, note: bytes) -> None:
        self._link.send("SET", self._key(connection_id), note, "EX", self._seconds)

    def returned(self, connection_id: ConnectionId) -> None:
        self._link.send("DEL", self._key(connection_id))

    async def ending(self, connection_id: ConnectionId) -> bytes | None:
        note: bytes | None = await self._link.ask("GET", self._key(connection_id))
        return note

    def _key(self, connection_id: ConnectionId) -> str:
        return f"{self._prefix}l:{connection_id}"


def _is_whole(envelope: tuple[int, bytes]) -> bool:
    """Frames that are too large are not kept, and some say that others were lost."""
    return bool(envelope[1]) and HEADER.unpack_from(envelope[1])[3] != GAP


def _kept(place: int, message: bytes, heard: int) -> Kept:
    sender, number, at, _ = HEADER.unpack_from(message)
    origin = Origin(ReplicaId(sender.decode()), number, at)
    return Kept(min(place, heard), origin, message[HEADER.size :], ahead=place > heard)


def _reaches_back(kept: envelopes.Kept, place: int, *, unbroken: bool) -> bool:
    """Whether what Redis has left of an account begins at or before `place`.

    Zeros mean that nothing was published for an hour, or that nothing ever was.
    """
    if kept.top == place:
        return True
    if kept.top == 0:
        return unbroken
    if kept.first == 0:
        return False
    return kept.before <= place if kept.before else unbroken or kept.first <= place
