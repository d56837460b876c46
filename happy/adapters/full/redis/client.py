"""The event bus, replica link, presence and shared history of one replica, on one link to Redis."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import Struct

from happy.adapters.full.redis.buckets import RedisBuckets
from happy.adapters.full.redis.bus import RedisBus
from happy.adapters.full.redis.envelopes import Retention
from happy.adapters.full.redis.history import RedisHistory
from happy.adapters.full.redis.link import LinkHandler, RedisLink
from happy.adapters.full.redis.presence import RedisPresence
from happy.adapters.full.redis.sign_ins import RedisSignIns
from happy.domain.ports.cluster import OnMessage
from happy.domain.ports.delivery import DropReport
from happy.domain.values import AccountId, ReplicaId
from happy.metrics import LinkState


class RedisReplicaLink:
    """Implements `ReplicaLink`."""

    def __init__(self, bus: RedisBus, presence: RedisPresence, prefix: str) -> None:
        self.replica_id = bus.replica_id
        self._bus = bus
        self._presence = presence
        self._prefix = prefix

    def listen(self, on_message: OnMessage) -> None:
        self._bus.listen_to_messages(on_message)

    def send(self, to: ReplicaId, payload: bytes) -> None:
        self._bus.send(to, payload)

    async def deliver(self, to: ReplicaId, payload: bytes) -> bool:
        return await self._bus.deliver(to, payload)

    async def is_alive(self, replica_id: ReplicaId) -> bool:
        return await self._presence.is_alive(replica_id, f"{self._prefix}m:{replica_id}")


class _Handler(LinkHandler):
    """Passes on to the bus, to presence and to rate limits what the link calls."""

    def __init__(self, bus: RedisBus, presence: RedisPresence, buckets: RedisBuckets) -> None:
        self._bus = bus
        self._presence = presence
        self._buckets = buckets

    async def restore(self) -> bool:
        await self._presence.restore()
        await self._buckets.restore()
        return await self._bus.restore()

    async def tick(self) -> None:
        await self._presence.tick()
        await self._bus.resync_if_late()
        await self._bus.resync_after_dead_replicas()
        self._bus.resync_dropped()

    def on_push(self, channel: bytes, data: bytes) -> None:
        self._bus.on_push(channel, data)

    def on_drop(self, subject: str) -> None:
        self._bus.on_drop(AccountId(subject))


class Redis(Struct, frozen=True):
    bus: RedisBus
    replica_link: RedisReplicaLink
    presence: RedisPresence
    history: RedisHistory
    buckets: RedisBuckets
    sign_ins: RedisSignIns
    link: RedisLink

    def state(self) -> LinkState:
        return LinkState(self.link.up, self.link.lag, self.link.breaks)


@asynccontextmanager
async def open_redis(
    url: str,
    replica_id: ReplicaId,
    retention: Retention | None = None,
    authority: Path | None = None,
    report: DropReport | None = None,
    lease: str = "1",
) -> AsyncIterator[Redis]:
    """Raises Unavailable when Redis cannot be reached now; later outages are ridden out."""
    link = RedisLink(url, authority)
    retention = retention or Retention()
    bus, presence = RedisBus(link, replica_id, retention, report), RedisPresence(link, replica_id, lease)
    buckets = RedisBuckets(link)
    async with link.open(_Handler(bus, presence, buckets)):
        yield Redis(
            bus=bus,
            replica_link=RedisReplicaLink(bus, presence, link.prefix),
            presence=presence,
            history=RedisHistory(link, bus, retention.seconds),
            buckets=buckets,
            sign_ins=RedisSignIns(link, link.prefix),
            link=link,
        )
        await presence.end_lease()
        bus.intents.deregister()
