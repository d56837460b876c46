"""Redis as bus, link between nodes and presence of one node."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import Struct

from happy.adapters.full.redis.bus import RedisBus
from happy.adapters.full.redis.envelopes import Retention
from happy.adapters.full.redis.history import RedisHistory
from happy.adapters.full.redis.link import RedisLink
from happy.adapters.full.redis.presence import RedisPresence
from happy.domain.ports.cluster import OnMessage
from happy.domain.values import ReplicaId
from happy.metrics import LinkState


class RedisNodes:
    """Implements `NodeLink`."""

    def __init__(self, bus: RedisBus, presence: RedisPresence, prefix: str) -> None:
        self.replica_id = bus.replica_id
        self.send = bus.send
        self.deliver = bus.deliver
        self._bus = bus
        self._presence = presence
        self._prefix = prefix

    def listen(self, on_message: OnMessage) -> None:
        self._bus.listen_to_nodes(on_message)

    async def is_alive(self, replica_id: ReplicaId) -> bool:
        return await self._presence.is_alive(replica_id, f"{self._prefix}m:{replica_id}")


class Redis(Struct, frozen=True):
    bus: RedisBus
    nodes: RedisNodes
    presence: RedisPresence
    history: RedisHistory
    link: RedisLink

    def state(self) -> LinkState:
        return LinkState(self.link.up, self.link.lag, self.link.breaks)


@asynccontextmanager
async def open_redis(
    url: str, replica_id: ReplicaId, keeping: Retention | None = None, authority: Path | None = None
) -> AsyncIterator[Redis]:
    """Raises Unavailable when Redis cannot be reached now; later it may come and go."""
    link = RedisLink(url, authority)
    keeping = keeping or Retention()
    bus, presence = RedisBus(link, replica_id, keeping), RedisPresence(link, replica_id)

    async def restore() -> bool:
        await presence.restore()
        return await bus.restore()

    async def tick() -> None:
        await presence.tick()
        await bus.check_lateness()
        await bus.look_for_dead()

    link.restore, link.tick = restore, tick
    link.subscriptions.on_push, link.on_drop = bus.on_push, bus.report_drop
    async with link.open():
        nodes, history = RedisNodes(bus, presence, link.prefix), RedisHistory(link, bus, keeping.seconds)
        yield Redis(bus, nodes, presence, history, link)
        await presence.leave()
        bus.unpublished.leave()
