"""Token buckets that replicas share; time is the test's own, but in the last cases, which are about Redis."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest

from happy.adapters.full.redis.buckets import RedisBuckets
from happy.adapters.full.redis.client import Redis, open_redis
from happy.domain.errors import Unavailable
from happy.domain.ports.shared_buckets import SharedBuckets, Taken
from happy.domain.values import ReplicaId
from tests.support.memory_buckets import MemoryBuckets
from tests.support.redis_server import own_redis
from tests.support.services import REDIS
from tests.support.until import until

WINDOW = 60_000.0
SECOND = 1_000.0
TOKEN = 10 * SECOND


class Clock:
    now = 1_700_000_000_000.25

    def __call__(self) -> float:
        return self.now


class Cluster:
    """Two replicas of one, by one clock."""

    def __init__(self, one: SharedBuckets, other: SharedBuckets, clock: Clock) -> None:
        self.one = one
        self.other = other
        self.clock = clock
        self.key = f"test:{secrets.token_hex(8)}"

    async def take(self, count: int, cost: float = TOKEN) -> list[bool]:
        """In turns from either replica."""
        takers = (self.one, self.other)
        return [(await takers[number % 2].take(self.key, cost, WINDOW)).granted for number in range(count)]


async def open_buckets(stack: AsyncExitStack, url: str, clock: Clock | None) -> RedisBuckets:
    redis = await stack.enter_async_context(open_redis(url, ReplicaId(secrets.token_hex(8))))
    buckets = RedisBuckets(redis.link, clock)
    await buckets.restore()
    return buckets


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.services)])
async def cluster(request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    clock = Clock()
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            buckets = MemoryBuckets(clock)
            yield Cluster(buckets, buckets, clock)
        else:
            one, other = [await open_buckets(stack, REDIS, clock) for _ in range(2)]
            yield Cluster(one, other, clock)


async def test_a_full_bucket_gives_all_its_tokens_at_once_to_all_replicas_together(cluster: Cluster) -> None:
    assert [True] * 6 + [False] * 4 == await cluster.take(10)


async def test_tokens_come_back_one_by_one(cluster: Cluster) -> None:
    await cluster.take(6)
    cluster.clock.now += TOKEN - 1
    assert [False] == await cluster.take(1)
    cluster.clock.now += 1
    assert [True, False] == await cluster.take(2)
    cluster.clock.now += 10 * WINDOW
    assert [True] * 6 + [False] == await cluster.take(7)


async def test_who_is_refused_is_told_when_the_bucket_is_full(cluster: Cluster) -> None:
    assert Taken(granted=True, owed=TOKEN) == await cluster.one.take(cluster.key, TOKEN, WINDOW)
    await cluster.take(5)

    assert Taken(granted=False, owed=WINDOW) == await cluster.other.take(cluster.key, TOKEN, WINDOW)
    cluster.clock.now += SECOND
    assert (False, WINDOW - SECOND) == await cluster.other.take(cluster.key, TOKEN, WINDOW)


async def test_everybody_has_a_bucket_of_his_own(cluster: Cluster) -> None:
    await cluster.take(7)

    assert (await cluster.one.take(f"{cluster.key}:other", TOKEN, WINDOW)).granted


async def test_what_costs_more_than_a_bucket_takes_a_full_one(cluster: Cluster) -> None:
    assert [True, False] == await cluster.take(2, 3 * WINDOW)
    cluster.clock.now += 3 * WINDOW - 1
    assert [False] == await cluster.take(1, 3 * WINDOW)
    cluster.clock.now += 1
    assert [True] == await cluster.take(1, 3 * WINDOW)


async def test_what_was_given_away_elsewhere_is_owed(cluster: Cluster) -> None:
    owed: list[float] = []
    for replica in (cluster.one, cluster.other, cluster.one):
        replica.spend(cluster.key, WINDOW, WINDOW, owed.append)
        expected = len(owed) or 1
        await until(partial(_has, owed, expected))
    await until(lambda: len(owed) == 3)

    assert [WINDOW, 2 * WINDOW, 2 * WINDOW] == owed
    assert [False] == await cluster.take(1)
    cluster.clock.now += 2 * WINDOW
    assert [True] == await cluster.take(1)


def _has(owed: list[float], count: int) -> bool:
    return len(owed) >= count


# ---- Redis


@pytest.mark.services
async def test_redis_forgets_a_bucket_when_it_is_full(tmp_path: Path) -> None:
    with own_redis(tmp_path) as server:
        async with open_redis(server.url, ReplicaId("a" * 16)) as redis:
            assert (await redis.buckets.take("sign_ins:192.0.2.1", 100, WINDOW)).granted
            await until(lambda: _is_gone(redis, "rate:sign_ins:192.0.2.1"))


async def _is_gone(redis: Redis, name: str) -> bool:
    return not await redis.link.execute("EXISTS", f"{redis.link.prefix}{name}")


@pytest.mark.services
async def test_while_redis_is_away_nothing_is_asked_and_afterwards_all_goes_on(tmp_path: Path) -> None:
    with own_redis(tmp_path) as server:
        async with open_redis(server.url, ReplicaId("a" * 16)) as redis:
            buckets, reports = redis.buckets, list[float]()
            server.stop()
            await until(lambda: not redis.link.up)
            with pytest.raises(Unavailable):
                await buckets.take("key", TOKEN, WINDOW)
            buckets.spend("key", TOKEN, WINDOW, reports.append)
            server.start()
            await until(lambda: redis.link.up)

            assert (await buckets.take("key", TOKEN, WINDOW)).granted
            assert [] == reports
