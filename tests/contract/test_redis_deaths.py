"""A replica that is killed may owe events to others; one that ends in order, or loses its wire, does not."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from happy.adapters.full.redis import link as redis_link
from happy.domain.values import AccountId
from tests.contract.flavors import Replica, open_replica
from tests.contract.redis_barriers import checks_for_the_dead, link_of, settled
from tests.support.redis_server import OwnRedis, Wire, own_redis
from tests.support.until import until

if TYPE_CHECKING:
    from happy.domain.stream_position import StreamPosition

pytestmark = pytest.mark.services
ACCOUNT, OTHER = AccountId("account"), AccountId("other")
SOON = 8


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_link, "TICK_SECONDS", 0.1)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[OwnRedis]:
    with own_redis(tmp_path) as running:
        yield running


@pytest.fixture
async def survivor(redis: OwnRedis) -> AsyncIterator[Replica]:
    async with open_replica(redis.url) as replica:
        for account in (ACCOUNT, OTHER):
            await replica.bus.subscribe(account)
        yield replica


async def until_resyncs(replica: Replica, *accounts: AccountId) -> None:
    await until(lambda: replica.resyncs == list(accounts), SOON)


async def begin_commit(replica: Replica, account: AccountId) -> None:
    """The replica is about to commit, and that is known; what it published has come back to it."""
    replica.bus.begin_commit(account)
    await settled(link_of(replica))


async def test_a_killed_replica_causes_a_resync_of_exactly_its_publish_intents(
    redis: OwnRedis, survivor: Replica
) -> None:
    async with Wire(redis.port) as wire, open_replica(wire.url) as replica:
        await begin_commit(replica, ACCOUNT)
        await wire.cut()
        await until_resyncs(survivor, ACCOUNT)
        await checks_for_the_dead(survivor)

        assert [ACCOUNT] == survivor.resyncs


async def test_a_replica_that_shuts_down_causes_no_resync(redis: OwnRedis, survivor: Replica) -> None:
    async with open_replica(redis.url) as replica:
        await begin_commit(replica, ACCOUNT)
    await checks_for_the_dead(survivor)

    assert [] == survivor.resyncs


async def test_a_killed_replica_without_publish_intents_causes_no_resync(
    redis: OwnRedis, survivor: Replica
) -> None:
    async with Wire(redis.port) as wire, open_replica(wire.url) as replica:
        replica.bus.begin_commit(ACCOUNT)
        replica.bus.publish(ACCOUNT, b"1")
        replica.bus.end_commit(ACCOUNT)
        await until(lambda: not has_intents(replica))
        await settled(link_of(replica))
        await wire.cut()
        await checks_for_the_dead(survivor)

        assert [] == survivor.resyncs


async def test_a_wire_that_breaks_for_a_moment_is_no_death(redis: OwnRedis, survivor: Replica) -> None:
    async with Wire(redis.port) as wire, open_replica(wire.url) as replica:
        await begin_commit(replica, ACCOUNT)
        await wire.cut()
        await wire.mend()
        await checks_for_the_dead(survivor)
        await until(lambda: up(replica))

        assert [] == survivor.resyncs


async def test_publish_intents_are_recorded_again_after_redis_lost_them(
    redis: OwnRedis, survivor: Replica
) -> None:
    async with Wire(redis.port) as wire, open_replica(wire.url) as replica:
        await begin_commit(replica, ACCOUNT)
        redis.stop()
        await until(lambda: not up(replica) and not up(survivor), SOON)
        redis.start()
        await until(lambda: up(replica) and up(survivor), SOON)
        await settled(link_of(replica))
        await checks_for_the_dead(survivor, 1)
        survivor.resyncs.clear()  # on a busy machine the replica may have seemed dead meanwhile
        await wire.cut()
        await until_resyncs(survivor, ACCOUNT)


def up(replica: Replica) -> bool:
    return link_of(replica).up


def has_intents(replica: Replica) -> bool:
    intents: Any = replica.bus.intents  # type: ignore[attr-defined]
    return bool(intents._intents)


async def test_a_resync_is_published_to_the_other_replicas(redis: OwnRedis, survivor: Replica) -> None:
    async with open_replica(redis.url) as replica:
        await replica.bus.subscribe(ACCOUNT)
        replica.bus.resync(ACCOUNT)
        await until_resyncs(survivor, ACCOUNT)

        assert [] == replica.resyncs


async def test_a_client_of_a_killed_replica_with_a_publish_intent_is_not_recovered(
    redis: OwnRedis, survivor: Replica
) -> None:
    assert survivor.history is not None
    async with Wire(redis.port) as wire, open_replica(wire.url) as replica:
        assert replica.history is not None
        positions: dict[AccountId, StreamPosition] = {}
        for account in (ACCOUNT, OTHER):
            await replica.bus.subscribe(account)
            replica.bus.publish(account, b"1")
            await begin_commit(replica, AccountId("another"))
            position = replica.history.position(account)
            assert position is not None
            positions[account] = position
        await begin_commit(replica, ACCOUNT)
        assert [] == await survivor.history.since(ACCOUNT, positions[ACCOUNT], unbroken=True)
        await wire.cut()

        async def is_gone() -> bool:
            return not await survivor.link.is_alive(replica.link.replica_id)

        await until(is_gone)

        assert await survivor.history.since(ACCOUNT, positions[ACCOUNT], unbroken=True) is None
        assert [] == await survivor.history.since(OTHER, positions[OTHER], unbroken=True)


async def test_no_client_of_a_killed_replica_recovers_on_another_after_its_resync(
    redis: OwnRedis, survivor: Replica
) -> None:
    """Survivors notice one after another: whoever one disconnects may come to one that did so before."""
    async with open_replica(redis.url) as another:
        assert survivor.history is not None
        assert another.history is not None
        for account in (ACCOUNT, OTHER):
            await another.bus.subscribe(account)
        positions = {account: survivor.history.position(account) for account in (ACCOUNT, OTHER)}
        async with Wire(redis.port) as wire, open_replica(wire.url) as replica:
            await begin_commit(replica, ACCOUNT)
            await wire.cut()
            await until(lambda: survivor.resyncs and another.resyncs, SOON)
            before, untouched = positions[ACCOUNT], positions[OTHER]
            assert before is not None
            assert untouched is not None

            assert await another.history.since(ACCOUNT, before, unbroken=True) is None
            assert await another.history.since(OTHER, untouched, unbroken=True) == []
            assert {*survivor.resyncs, *another.resyncs} == {ACCOUNT}
