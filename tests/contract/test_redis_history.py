"""What all replicas know of the last minutes, and within which bounds Redis keeps it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from happy.adapters.full.redis.client import Redis, open_redis
from happy.adapters.full.redis.envelopes import Retention
from happy.domain.errors import Unavailable
from happy.domain.stream_position import StreamPosition
from happy.domain.values import AccountId, ConnectionId, ReplicaId
from tests.contract.redis_barriers import settled
from tests.support.redis_server import OwnRedis, own_redis
from tests.support.until import until

pytestmark = pytest.mark.services
ACCOUNT = AccountId("account")
HERE, THERE = ReplicaId("a" * 16), ReplicaId("b" * 16)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[OwnRedis]:
    with own_redis(tmp_path) as running:
        yield running


class Cluster:
    """Replicas on one Redis. `received` is what the first of them was told by the bus."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self._url = url
        self._stack = stack
        self.received: list[bytes] = []
        self._replicas: list[Redis] = []

    async def replica(
        self, replica_id: ReplicaId = HERE, account: AccountId = ACCOUNT, **bounds: int
    ) -> Redis:
        redis = await self._stack.enter_async_context(open_redis(self._url, replica_id, Retention(**bounds)))
        redis.bus.listen(lambda _account, envelope, _origin: self.received.append(envelope), lambda *_: None)
        await redis.bus.subscribe(account)
        self._replicas.append(redis)
        return redis

    async def settled(self) -> None:
        """What any replica published has an offset, and all of them know it."""
        await settled(*(replica.link for replica in self._replicas))

    async def position(self, replica: Redis) -> StreamPosition:
        """How far the replica has received, once what was published has an offset."""
        await self.settled()
        found = replica.history.position(ACCOUNT)
        assert found is not None
        return found

    async def since(
        self, replica: Redis, position: StreamPosition, *, unbroken: bool = True
    ) -> list[str] | None:
        await self.settled()
        kept = await replica.history.since(ACCOUNT, position, unbroken=unbroken)
        return None if kept is None else [event.envelope.decode() for event in kept]


@pytest.fixture
async def cluster(redis: OwnRedis) -> AsyncIterator[Cluster]:
    async with AsyncExitStack() as stack:
        yield Cluster(redis.url, stack)


def publish(replica: Redis, *envelopes: str, account: AccountId = ACCOUNT) -> None:
    for envelope in envelopes:
        replica.bus.publish(account, envelope.encode())


async def test_envelopes_after_a_position_are_returned_in_order(cluster: Cluster) -> None:
    here, there = await cluster.replica(HERE), await cluster.replica(THERE)
    start = await cluster.position(here)
    publish(here, "1", "2")
    middle = await cluster.position(there)
    publish(there, "3")

    assert ["1", "2", "3"] == await cluster.since(here, start)
    assert ["3"] == await cluster.since(here, middle)
    assert [] == await cluster.since(there, await cluster.position(here))


async def test_a_replica_that_starts_later_reads_the_same_history(cluster: Cluster) -> None:
    here = await cluster.replica(HERE)
    start = await cluster.position(here)
    publish(here, "1")
    later = await cluster.replica(THERE)

    assert ["1"] == await cluster.since(later, start)


async def test_a_mark_is_the_text_of_a_position(cluster: Cluster) -> None:
    here = await cluster.replica(HERE)
    publish(here, "1")
    position = await cluster.position(here)

    assert position.text() == here.history.position_text(ACCOUNT)
    assert here.history.position_text(AccountId("not watched")) == ""
    assert here.history.position(AccountId("not watched")) is None


async def test_what_was_received_before_it_had_an_offset_is_covered_by_its_number(cluster: Cluster) -> None:
    here, there = await cluster.replica(HERE), await cluster.replica(THERE)
    start = await cluster.position(there)
    publish(here, "1", "2")
    early = here.history.position(ACCOUNT)  # its connections have received both, Redis of neither
    assert early is not None
    assert early.offset == start.offset
    await cluster.position(here)
    kept = await there.history.since(ACCOUNT, start, unbroken=True)
    assert kept is not None

    assert [early.covers(event.origin.replica_id, event.origin.number) for event in kept] == [True, True]
    assert [start.covers(event.origin.replica_id, event.origin.number) for event in kept] == [False, False]


@pytest.mark.parametrize("unbroken", [True, False])
async def test_an_empty_history_is_complete_for_a_client_that_was_connected(
    cluster: Cluster, unbroken: bool
) -> None:
    here = await cluster.replica(HERE)
    start = await cluster.position(here)
    assert start.offset == 0
    assert [] == await cluster.since(here, start, unbroken=unbroken)
    publish(here, "1")

    assert (["1"] if unbroken else None) == await cluster.since(here, start, unbroken=unbroken)


async def test_a_history_beyond_its_bounds_is_not_replayed_in_part(cluster: Cluster) -> None:
    here = await cluster.replica(HERE, bytes=5_000)
    start = await cluster.position(here)
    marks = []
    for number in range(20):
        publish(here, f"{number}" + "x" * 500)
        marks.append(await cluster.position(here))

    assert await cluster.since(here, start) is None
    assert await cluster.since(here, marks[5]) is None
    assert len(await cluster.since(here, marks[-4]) or []) == 3
    used = await here.link.execute("MEMORY", "USAGE", f"{here.link.prefix}h:{ACCOUNT}")
    assert used < 10_000


async def test_a_frame_beyond_the_bound_is_published_and_not_kept(cluster: Cluster) -> None:
    here, there = await cluster.replica(HERE, bytes=5_000), await cluster.replica(THERE)
    start = await cluster.position(here)
    publish(here, "x" * 6_000)
    after = await cluster.position(there)

    assert [6_000] == [len(envelope) for envelope in cluster.received]
    assert await cluster.since(here, start) is None
    assert [] == await cluster.since(here, after)


async def test_the_quietest_account_goes_when_the_total_is_reached(cluster: Cluster) -> None:
    quiet, busy = ACCOUNT, AccountId("busy")
    here = await cluster.replica(HERE, total_bytes=20_000)
    start = await cluster.position(here)
    publish(here, "1")
    end = await cluster.position(here)
    publish(here, *["x" * 1_000] * 30, account=busy)

    assert await cluster.since(here, start) is None
    assert [] == await cluster.since(here, end)
    publish(here, "2", account=quiet)
    assert ["2"] == await cluster.since(here, end)
    sizes = await here.link.execute("HGETALL", f"{here.link.prefix}sizes")
    bytes_of = {name.decode(): int(size) for name, size in zip(sizes[::2], sizes[1::2], strict=True)}
    assert bytes_of[""] == sum(size for name, size in bytes_of.items() if name)


async def test_what_has_expired_does_not_count(cluster: Cluster) -> None:
    here = await cluster.replica(HERE, seconds=1)
    publish(here, "1" * 1_000)
    history = f"{here.link.prefix}h:{ACCOUNT}"
    await cluster.settled()
    assert await here.link.execute("EXISTS", history)

    async def has_expired() -> bool:
        return not await here.link.execute("EXISTS", history)

    await until(has_expired)
    publish(here, "2", account=AccountId("other"))
    sizes: list[Any] = await here.link.execute("HGETALL", f"{here.link.prefix}sizes")

    bytes_of = dict(zip(sizes[::2], sizes[1::2], strict=True))

    assert {b"", b"other"} == bytes_of.keys()
    assert bytes_of[b""] == bytes_of[b"other"]
    assert int(bytes_of[b""]) < 300


async def test_positions_of_a_redis_that_forgot_everything_say_nothing(
    cluster: Cluster, redis: OwnRedis
) -> None:
    here = await cluster.replica(HERE)
    publish(here, "1")
    position = await cluster.position(here)
    redis.stop()
    redis.start()
    await until(lambda: here.bus.epochs.current != position.epoch and here.link.up)

    assert await cluster.since(here, position) is None


async def test_how_a_connection_ended_is_known_until_it_goes_on(cluster: Cluster) -> None:
    here, there = await cluster.replica(HERE), await cluster.replica(THERE)
    connection = ConnectionId("connection")
    assert await there.history.load_disconnect(connection) is None
    here.history.save_disconnect(connection, b"note")
    await here.link.execute("PING")
    assert b"note" == await there.history.load_disconnect(connection)
    there.history.delete_disconnect(connection)
    await there.link.execute("PING")

    assert await here.history.load_disconnect(connection) is None


async def test_without_redis_nothing_can_be_said(cluster: Cluster, redis: OwnRedis) -> None:
    here = await cluster.replica(HERE)
    position = await cluster.position(here)
    redis.stop()
    await until(lambda: not here.link.up)

    with pytest.raises(Unavailable):
        await here.history.since(ACCOUNT, position, unbroken=True)
    with pytest.raises(Unavailable):
        await here.history.load_disconnect(ConnectionId("connection"))
