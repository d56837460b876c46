"""How to open the adapters of each flavor, empty, for the suites that hold them to the ports."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from happy.adapters.full.postgres.store import open_store as open_postgres
from happy.adapters.full.redis.client import open_redis
from happy.adapters.light.schema import prepare
from happy.adapters.light.sqlite import open_store
from happy.adapters.memory import MemoryBus, MemoryLink, MemoryPresence
from happy.domain.ports.cluster import EventBus, Origin, ReplicaLink, SharedHistory
from happy.domain.ports.delivery import NotDelivered
from happy.domain.ports.presence import Presence
from happy.domain.ports.store import Store
from happy.domain.values import AccountId, ReplicaId
from tests.support.factories import NOW
from tests.support.services import REDIS

OpenStore = Callable[[], AbstractAsyncContextManager[Store]]
"""Opens the test's own database; more than once gives further connections to the same one."""


class Drops(list[tuple[NotDelivered, AccountId]]):
    """What a bus did not deliver, and of whom."""

    def add(self, reason: NotDelivered, account_id: AccountId, connection_id: object, what: str) -> None:
        self.append((reason, account_id))


@dataclass(eq=False)
class Replica:
    """One server process as the ports see it, and what reached it from others."""

    bus: EventBus
    link: ReplicaLink
    presence: Presence
    history: SharedHistory | None = None
    envelopes: list[tuple[AccountId, bytes]] = field(default_factory=list)
    messages: list[tuple[ReplicaId, bytes]] = field(default_factory=list)
    resyncs: list[AccountId] = field(default_factory=list)
    drops: Drops = field(default_factory=Drops)

    def hear(self, account_id: AccountId, envelope: bytes, origin: Origin) -> None:
        self.envelopes.append((account_id, envelope))

    def lack(self, account_id: AccountId, before: int | None = None) -> None:
        self.resyncs.append(account_id)


def light_opener(folder: Path) -> OpenStore:
    return lambda: _light_store(folder / "happy.sqlite")


def full_opener(url: str) -> OpenStore:
    return lambda: open_postgres(url)


@asynccontextmanager
async def _light_store(path: Path) -> AsyncIterator[Store]:
    await asyncio.to_thread(prepare, path, NOW)
    async with open_store(path) as store:
        yield store


@asynccontextmanager
async def open_replicas(flavor: str) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two replicas of one cluster; the light flavor has one, which then stands for both."""
    if flavor == "light":
        replica = Replica(MemoryBus(), MemoryLink(ReplicaId("here")), MemoryPresence())
        yield replica, replica
        return
    async with open_replica() as one, open_replica() as other:
        yield one, other


@asynccontextmanager
async def open_replica(url: str = REDIS) -> AsyncIterator[Replica]:
    """A replica on Redis that writes down what reaches it."""
    drops = Drops()
    async with open_redis(url, ReplicaId(secrets.token_hex(8)), report=drops) as redis:
        replica = Replica(redis.bus, redis.replica_link, redis.presence, redis.history, drops=drops)
        redis.bus.listen(replica.hear, replica.lack)
        redis.replica_link.listen(lambda sender, payload: replica.messages.append((sender, payload)))
        yield replica
