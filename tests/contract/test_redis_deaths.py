"""A node that is killed may owe events to others; one that ends in order, or loses its wire, does not."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from happy.adapters.full.redis import link as redis_link
from happy.domain.values import AccountId
from tests.contract.flavors import Node, open_node
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
async def survivor(redis: OwnRedis) -> AsyncIterator[Node]:
    async with open_node(redis.url) as node:
        for account in (ACCOUNT, OTHER):
            await node.bus.subscribe(account)
        yield node


async def until_gaps(node: Node, *accounts: AccountId) -> None:
    await until(lambda: node.gaps == list(accounts), SOON)


async def begin_commit(node: Node, account: AccountId) -> None:
    """The node is about to commit, and that is known."""
    node.bus.begin_commit(account)
    await asyncio.sleep(0.15)


async def test_a_killed_node_is_a_gap_for_exactly_what_it_was_about_to_commit(
    redis: OwnRedis, survivor: Node
) -> None:
    async with Wire(redis.port) as wire, open_node(wire.url) as node:
        await begin_commit(node, ACCOUNT)
        await wire.cut()
        await until_gaps(survivor, ACCOUNT)
        await asyncio.sleep(0.5)

        assert [ACCOUNT] == survivor.gaps


async def test_a_node_that_ends_in_order_owes_nothing(redis: OwnRedis, survivor: Node) -> None:
    async with open_node(redis.url) as node:
        await begin_commit(node, ACCOUNT)
    await asyncio.sleep(0.8)

    assert [] == survivor.gaps


async def test_a_killed_node_that_has_published_everything_owes_nothing(
    redis: OwnRedis, survivor: Node
) -> None:
    async with Wire(redis.port) as wire, open_node(wire.url) as node:
        node.bus.begin_commit(ACCOUNT)
        node.bus.publish(ACCOUNT, b"1")
        node.bus.end_commit(ACCOUNT)
        await asyncio.sleep(0.3)
        await wire.cut()
        await asyncio.sleep(0.8)

        assert [] == survivor.gaps


async def test_a_wire_that_breaks_for_a_moment_is_no_death(redis: OwnRedis, survivor: Node) -> None:
    async with Wire(redis.port) as wire, open_node(wire.url) as node:
        await begin_commit(node, ACCOUNT)
        await wire.cut()
        await wire.mend()
        await asyncio.sleep(1)

        assert [] == survivor.gaps


async def test_marks_come_back_after_redis_forgot_them(redis: OwnRedis, survivor: Node) -> None:
    async with Wire(redis.port) as wire, open_node(wire.url) as node:
        await begin_commit(node, ACCOUNT)
        redis.stop()
        redis.start()
        await until(lambda: up(node) and up(survivor), SOON)
        await asyncio.sleep(0.3)
        survivor.gaps.clear()  # on a busy machine the node may have seemed dead meanwhile
        await wire.cut()
        await until_gaps(survivor, ACCOUNT)


def up(node: Node) -> bool:
    link: Any = node.bus._link  # type: ignore[attr-defined]
    return bool(link.up)


async def test_a_break_off_is_a_gap_on_the_other_nodes(redis: OwnRedis, survivor: Node) -> None:
    async with open_node(redis.url) as node:
        await node.bus.subscribe(ACCOUNT)
        node.bus.resync(ACCOUNT)
        await until_gaps(survivor, ACCOUNT)

        assert [] == node.gaps


async def test_a_client_of_a_killed_node_reads_again_if_something_was_owed(
    redis: OwnRedis, survivor: Node
) -> None:
    assert survivor.history is not None
    async with Wire(redis.port) as wire, open_node(wire.url) as node:
        assert node.history is not None
        told: dict[AccountId, StreamPosition] = {}
        for account in (ACCOUNT, OTHER):
            await node.bus.subscribe(account)
            node.bus.publish(account, b"1")
            await begin_commit(node, AccountId("another"))
            position = node.history.position(account)
            assert position is not None
            told[account] = position
        await begin_commit(node, ACCOUNT)
        assert [] == await survivor.history.since(ACCOUNT, told[ACCOUNT], unbroken=True)
        await wire.cut()
        await asyncio.sleep(0.2)

        assert await survivor.history.since(ACCOUNT, told[ACCOUNT], unbroken=True) is None
        assert [] == await survivor.history.since(OTHER, told[OTHER], unbroken=True)


async def test_after_a_node_was_killed_nobody_from_before_recovers_on_any_other(
    redis: OwnRedis, survivor: Node
) -> None:
    """Survivors notice one after another: whoever one disconnects may come to one that did so before."""
    async with open_node(redis.url) as another:
        assert survivor.history is not None
        assert another.history is not None
        for account in (ACCOUNT, OTHER):
            await another.bus.subscribe(account)
        told = {account: survivor.history.position(account) for account in (ACCOUNT, OTHER)}
        async with Wire(redis.port) as wire, open_node(wire.url) as node:
            await begin_commit(node, ACCOUNT)
            await wire.cut()
            await until(lambda: survivor.gaps and another.gaps, SOON)
            before, untouched = told[ACCOUNT], told[OTHER]
            assert before is not None
            assert untouched is not None

            assert await another.history.since(ACCOUNT, before, unbroken=True) is None
            assert await another.history.since(OTHER, untouched, unbroken=True) == []
            assert {*survivor.gaps, *another.gaps} == {ACCOUNT}
