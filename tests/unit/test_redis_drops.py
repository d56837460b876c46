"""Envelopes that the Redis bus does not hand on: each is reported with its reason."""

import pytest

from happy.adapters.full.redis.account import ENVELOPE, HEADER, REPEATED
from happy.adapters.full.redis.bus import RedisBus
from happy.adapters.full.redis.link import RedisLink
from happy.domain.ports.cluster import CLOCK_MS
from happy.domain.ports.delivery import NotDelivered
from happy.domain.values import AccountId, ReplicaId

ACCOUNT = AccountId("account")
HERE, THERE = ReplicaId("h" * 16), ReplicaId("t" * 16)
CHANNEL = b"happy:0:e:account"


class World:
    """A bus that is not connected, and what it does with what Redis pushes."""

    def __init__(self) -> None:
        self.delivered: list[bytes] = []
        self.dropped: list[tuple[NotDelivered, AccountId, str]] = []
        self.bus = RedisBus(RedisLink("redis://localhost/0"), HERE, report=self)
        self.bus.listen(lambda _account, envelope, _origin: self.delivered.append(envelope), lambda *_: None)

    def add(self, reason: NotDelivered, account_id: AccountId, connection_id: object, what: str) -> None:
        self.dropped.append((reason, account_id, what))

    async def subscribe(self) -> None:
        await self.bus.subscribe(ACCOUNT)
        subscription = self.bus._subscribed[ACCOUNT]
        subscription.offset = 1
        self.bus._release(ACCOUNT, subscription)

    def push(
        self, offset: int, number: int, by: ReplicaId = THERE, kind: int = ENVELOPE, ago: int = 0
    ) -> None:
        message = HEADER.pack(by.encode(), number, self.bus.now() - ago, kind) + b"envelope"
        self.bus.on_push(CHANNEL, b"%d %d %b" % (offset, offset - 1, message))


@pytest.fixture
def world() -> World:
    return World()


async def test_after_the_last_connection_has_ended_envelopes_are_reported(world: World) -> None:
    world.push(2, 1)
    world.push(3, 1, by=HERE)

    assert [(NotDelivered.NOT_SUBSCRIBED, ACCOUNT, "envelope")] == world.dropped


async def test_an_envelope_that_arrives_twice_is_delivered_once(world: World) -> None:
    await world.subscribe()
    for offset, number in ((2, 1), (2, 1), (3, 1)):
        world.push(offset, number)

    assert [b"envelope"] == world.delivered
    assert [(NotDelivered.DUPLICATE, ACCOUNT, "envelope")] * 2 == world.dropped


async def test_a_replicas_own_envelopes_are_no_drops(world: World) -> None:
    await world.subscribe()
    for offset in (2, 2, 3):
        world.push(offset, 1, by=HERE)

    assert ([], []) == (world.delivered, world.dropped)


async def test_a_repeated_envelope_from_before_the_subscription_is_reported(world: World) -> None:
    await world.subscribe()
    world.push(2, 1, kind=REPEATED, ago=10 * CLOCK_MS)
    world.push(3, 2, kind=REPEATED)

    assert [b"envelope"] == world.delivered
    assert [(NotDelivered.BEFORE_SUBSCRIPTION, ACCOUNT, "envelope")] == world.dropped
