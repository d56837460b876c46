"""What Redis, or the way to it, may do without anybody losing an event."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from happy.adapters.full.redis import bus as redis_bus
from happy.adapters.full.redis import link as redis_link
from happy.adapters.full.redis.account import ENVELOPE
from happy.adapters.full.redis.envelopes import Retention
from happy.adapters.full.redis.link import RedisLink
from happy.domain.ports.cluster import CLOCK_MS
from happy.domain.ports.presence import Holder
from happy.domain.values import AccountId, ConnectionId
from tests.contract.flavors import Node, open_node
from tests.support.redis_server import OwnRedis, Wire, own_redis
from tests.support.until import until

pytestmark = pytest.mark.services
ACCOUNT, OTHER = AccountId("account"), AccountId("other")
KEPT = Retention()
OUTAGE_SECONDS = 30


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[OwnRedis]:
    with own_redis(tmp_path) as running:
        yield running


@pytest.fixture
async def sender(redis: OwnRedis) -> AsyncIterator[Node]:
    async with open_node(redis.url) as node:
        yield node


@asynccontextmanager
async def listener(url: str, *accounts: AccountId) -> AsyncIterator[Node]:
    async with open_node(url) as node:
        for account in accounts:
            await node.bus.subscribe(account)
        yield node


def heard(node: Node, account: AccountId = ACCOUNT) -> list[int]:
    return [int(envelope) for of, envelope in node.envelopes if of == account]


def send(node: Node, *numbers: int, account: AccountId = ACCOUNT) -> None:
    for number in numbers:
        node.bus.publish(account, str(number).encode())


async def test_frames_arrive_in_order_and_never_at_their_sender(redis: OwnRedis, sender: Node) -> None:
    await sender.bus.subscribe(ACCOUNT)
    async with listener(redis.url, ACCOUNT) as node:
        send(sender, *range(1000))
        await until(lambda: len(node.envelopes) == 1000)

        assert list(range(1000)) == heard(node)
        assert [] == sender.envelopes


async def test_only_watched_accounts_are_heard(redis: OwnRedis, sender: Node) -> None:
    async with listener(redis.url, ACCOUNT) as node:
        send(sender, 1, account=OTHER)
        send(sender, 2)
        node.bus.unsubscribe(OTHER)
        await until(lambda: heard(node) == [2])

        assert [] == heard(node, OTHER)


async def test_what_was_published_before_is_not_heard(redis: OwnRedis, sender: Node) -> None:
    send(sender, 1, 2)
    async with listener(redis.url, OTHER) as node:
        send(sender, 3, account=OTHER)
        await until(lambda: heard(node, OTHER) == [3])
        await node.bus.subscribe(ACCOUNT)
        send(sender, 4)
        await until(lambda: heard(node) == [4])


async def test_a_message_reaches_the_node_it_is_for(redis: OwnRedis, sender: Node) -> None:
    async with listener(redis.url) as node:
        sender.link.send(node.link.replica_id, b"hello")
        await until(lambda: node.messages == [(sender.link.replica_id, b"hello")])

        assert [] == sender.messages


async def test_a_cut_wire_costs_nothing(redis: OwnRedis, sender: Node) -> None:
    async with Wire(redis.port) as wire, listener(wire.url, ACCOUNT, OTHER) as node:
        send(sender, 1, 2)
        await until(lambda: heard(node) == [1, 2])
        await wire.cut()
        send(sender, 3, 4)
        send(sender, 1, account=OTHER)
        node.bus.publish(ACCOUNT, b"100")
        await sender.bus.subscribe(ACCOUNT)
        await wire.mend()
        await until(lambda: len(node.envelopes) == 5 and heard(sender) == [100])

        assert ([1, 2, 3, 4], [1]) == (heard(node), heard(node, OTHER))
        assert [] == node.gaps


async def test_cutting_the_wire_again_and_again_costs_nothing(redis: OwnRedis, sender: Node) -> None:
    async with (
        Wire(redis.port) as wire,
        Wire(redis.port) as other,
        listener(wire.url, ACCOUNT) as node,
        listener(other.url, ACCOUNT) as third,
    ):
        for turn in range(8):
            send(sender, *range(turn * 20, turn * 20 + 10))
            for number in range(turn * 20 + 10, turn * 20 + 20):
                send(third, number)
                await asyncio.sleep(0.001)
            for broken in (wire, other) if turn % 2 else (wire,):
                await broken.cut()
            await asyncio.sleep(0.02)
            for broken in (wire, other) if turn % 2 else (wire,):
                await broken.mend()
        await until(lambda: len(node.envelopes) >= 160)

        assert list(range(160)) == sorted(heard(node))
        assert [] == node.gaps


async def test_a_gap_larger_than_the_history_is_reported_for_exactly_that_account(
    redis: OwnRedis, sender: Node
) -> None:
    async with Wire(redis.port) as wire, listener(wire.url, ACCOUNT, OTHER) as node:
        send(sender, 0)
        await until(lambda: heard(node) == [0])
        await wire.cut()
        send(sender, *range(1, 2 * KEPT.envelopes + 200))
        send(sender, 1, account=OTHER)
        await until(lambda: not redis_is_behind(sender))
        await wire.mend()
        await until(lambda: heard(node, OTHER) == [1] and node.gaps != [])

        assert [ACCOUNT] == node.gaps
        send(sender, -1)
        await until(lambda: heard(node)[-1] == -1)


def redis_is_behind(node: Node) -> bool:
    link = node.bus._link  # type: ignore[attr-defined]
    return bool(link._queue or link._in_flight)


async def test_a_frame_too_large_to_keep_is_a_gap_for_who_missed_it(redis: OwnRedis, sender: Node) -> None:
    large = b"7" * (KEPT.bytes + 1)
    async with Wire(redis.port) as wire, listener(wire.url, ACCOUNT) as node:
        sender.bus.publish(ACCOUNT, large)
        await until(lambda: len(node.envelopes) == 1)
        await wire.cut()
        sender.bus.publish(ACCOUNT, large)
        await wire.mend()
        await until(lambda: node.gaps == [ACCOUNT])


async def test_a_redis_that_forgets_everything_costs_nothing(redis: OwnRedis, sender: Node) -> None:
    async with listener(redis.url, ACCOUNT, OTHER) as node:
        send(sender, 1, 2)
        await until(lambda: heard(node) == [1, 2])
        redis.stop()
        send(sender, 3)
        await asyncio.sleep(0.5)
        send(sender, 4)
        send(sender, 5, account=OTHER)
        redis.start()
        await until(lambda: heard(node) == [1, 2, 3, 4] and heard(node, OTHER) == [5])
        await asyncio.sleep(0.2)

        assert [1, 2, 3, 4] == heard(node)
        assert [] == node.gaps


async def test_what_redis_took_to_its_grave_is_sent_again(redis: OwnRedis, sender: Node) -> None:
    async with Wire(redis.port) as wire, listener(wire.url, ACCOUNT) as node:
        await wire.cut()
        send(sender, 1)
        await until(lambda: not redis_is_behind(sender))
        redis.stop()
        redis.start()
        await wire.mend()
        await until(lambda: heard(node) == [1])

        assert [] == node.gaps


async def test_a_fail_over_costs_nothing(redis: OwnRedis, tmp_path: Path) -> None:
    """The replica that takes over lacks what was confirmed last, and gives its place to something else."""
    (folder := tmp_path / "replica").mkdir()
    with own_redis(folder) as replica:
        async with (
            Wire(redis.port) as wire,
            Wire(redis.port) as slow,
            open_node(wire.url) as one,
            open_node(slow.url) as other,
            listener(wire.url, ACCOUNT) as node,
        ):
            await replica.command("REPLICAOF", "127.0.0.1", str(redis.port))
            send(one, 1, 2)
            await until(lambda: heard(node) == [1, 2])
            await until(lambda: follows(replica))
            await asyncio.sleep(0.3)
            await replica.command("REPLICAOF", "NO", "ONE")
            send(one, 3)
            await until(lambda: heard(node) == [1, 2, 3])
            for line in (wire, slow):
                line.leads_to(replica.port)
                await line.cut()
            await slow.mend()
            send(other, 4)
            await until(lambda: not redis_is_behind(other) and up(other))
            await wire.mend()
            await until(lambda: sorted(heard(node)) == [1, 2, 3, 4])
            send(one, 5)
            send(other, 6)
            await until(lambda: sorted(heard(node)) == [1, 2, 3, 4, 5, 6])

            assert [] == node.gaps


async def follows(replica: OwnRedis) -> bool:
    return b"master_link_status:up" in await replica.command("INFO", "replication")


def up(node: Node) -> bool:
    link = node.bus._link  # type: ignore[attr-defined]
    return bool(link.up)


async def test_a_frame_that_is_sent_twice_is_kept_once(redis: OwnRedis, sender: Node) -> None:
    assert sender.history is not None
    await sender.bus.subscribe(ACCOUNT)
    start = sender.history.position(ACCOUNT)
    assert start is not None
    send(sender, 1)
    bus: Any = sender.bus
    bus._link.send_packed(bus._publication(ACCOUNT, bus.number, 0, ENVELOPE, b"1"))
    await bus._link.ask("PING")
    send(sender, 2)
    await bus._link.ask("PING")
    kept = await sender.history.since(ACCOUNT, start, unbroken=True)

    assert [b"1", b"2"] == [event.envelope for event in kept or []]


@pytest.mark.slow
async def test_half_a_minute_without_redis_costs_nothing(redis: OwnRedis, sender: Node) -> None:
    """One node is cut off, then Redis is away, and all go on publishing: each hears all, or of a gap."""
    async with (
        Wire(redis.port) as wire,
        listener(wire.url, ACCOUNT) as node,
        listener(redis.url, ACCOUNT) as other,
    ):
        await sender.bus.subscribe(ACCOUNT)
        await wire.cut()
        send(sender, *range(10))
        send(node, *range(10, 20))
        await asyncio.sleep(OUTAGE_SECONDS / 2)
        redis.stop()
        send(sender, *range(20, 30))
        send(other, *range(30, 40))
        await asyncio.sleep(OUTAGE_SECONDS / 2)
        redis.start()
        await wire.mend()
        published = {sender: {*range(10), *range(20, 30)}, node: {*range(10, 20)}, other: {*range(30, 40)}}
        for one, own in published.items():
            others = set(range(40)) - own
            await until(lambda one=one, others=others: others <= set(heard(one)) or one.gaps != [])

            assert len(heard(one)) == len(set(heard(one)))


async def test_a_redis_that_falls_silent_is_noticed(
    redis: OwnRedis, sender: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_link, "REPLY_SECONDS", 1.0)
    async with Wire(redis.port) as wire, listener(wire.url, ACCOUNT) as node:
        await asyncio.sleep(0.5)
        wire.hold()
        await until(lambda: not up(node))
        await asyncio.sleep(1)  # it connects to something that says nothing
        send(sender, 1)
        wire.release()
        await until(lambda: heard(node) == [1])

        assert [] == node.gaps


async def test_who_was_away_long_before_redis_forgot_starts_over(
    redis: OwnRedis, sender: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_link, "RECENT_SECONDS", 0.1)
    monkeypatch.setattr(redis_bus, "LATE_SECONDS", 0.5)
    async with Wire(redis.port) as wire, listener(wire.url, ACCOUNT) as node:
        await wire.cut()
        send(sender, 1)
        await asyncio.sleep(0.7)
        send(sender, 2)
        await until(lambda: not redis_is_behind(sender))
        redis.stop()
        redis.start()
        await wire.mend()
        await until(lambda: node.gaps != [])


async def test_who_joins_during_an_outage_hears_what_comes_after(redis: OwnRedis, sender: Node) -> None:
    async with listener(redis.url) as node:
        send(sender, 1)
        await until(lambda: not redis_is_behind(sender))
        redis.stop()
        await until(lambda: not node.bus._link.up)  # type: ignore[attr-defined]
        await node.bus.subscribe(ACCOUNT)
        send(sender, 2)
        redis.start()
        await until(lambda: heard(node)[-1:] == [2])  # and perhaps 1, which is less than CLOCK_MS old

        assert [] == node.gaps


async def test_an_event_reaches_who_subscribed_before_it_though_clocks_differ(
    redis: OwnRedis, sender: Node
) -> None:
    """The sender is back first, so the other reads the event from the history and judges it by its time."""
    async with Wire(redis.port) as wire, listener(wire.url) as node:
        await wire.cut()
        redis.stop()
        await until(lambda: not up(node) and not up(sender))
        await node.bus.subscribe(ACCOUNT)
        sender.bus._ahead -= CLOCK_MS // 2  # type: ignore[attr-defined]
        send(sender, 1)
        redis.start()
        await until(lambda: up(sender) and not redis_is_behind(sender))
        await wire.mend()
        await until(lambda: heard(node) == [1])

        assert [] == node.gaps


async def test_frames_that_had_to_be_dropped_are_a_gap(
    redis: OwnRedis, sender: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_link, "MAX_QUEUED", 3)
    async with listener(redis.url, ACCOUNT) as node:
        redis.stop()
        await until(lambda: not sender.bus._link.up)  # type: ignore[attr-defined]
        send(sender, *range(10))
        redis.start()
        await until(lambda: heard(node)[-1:] == [9] and node.gaps == [ACCOUNT])


async def test_claims_come_back_after_redis_forgot_them(redis: OwnRedis, sender: Node) -> None:
    holders = [
        Holder(sender.link.replica_id, ConnectionId(name), rank) for name, rank in (("1", 2), ("2", 0))
    ]
    async with listener(redis.url) as node:
        for holder in holders:
            await sender.presence.claim(ACCOUNT, "name", holder)
        redis.stop()
        await sender.presence.release(ACCOUNT, "other name", holders[0])
        redis.start()
        await until(lambda: node.bus._link.up and sender.bus._link.up)  # type: ignore[attr-defined]
        await sender.presence.holders(ACCOUNT, "name")  # after what waited

        assert holders == list(await node.presence.holders(ACCOUNT, "name"))


async def test_what_is_released_during_an_outage_is_gone_afterwards(redis: OwnRedis, sender: Node) -> None:
    async with Wire(redis.port) as wire, listener(wire.url) as node:
        holder = Holder(node.link.replica_id, ConnectionId("1"))
        await node.presence.claim(ACCOUNT, "name", holder)
        await wire.cut()
        await until(lambda: not node.bus._link.up)  # type: ignore[attr-defined]
        assert [holder] == list(await node.presence.holders(ACCOUNT, "name"))
        await node.presence.release(ACCOUNT, "name", holder)
        await wire.mend()
        await until(lambda: node.bus._link.up)  # type: ignore[attr-defined]
        await node.presence.holders(ACCOUNT, "name")

        assert [] == list(await sender.presence.holders(ACCOUNT, "name"))


async def test_a_node_that_ends_is_dead_at_once_and_holds_nothing(redis: OwnRedis, sender: Node) -> None:
    async with listener(redis.url) as node:
        replica_id = node.link.replica_id
        await node.presence.claim(ACCOUNT, "name", Holder(replica_id, ConnectionId("1")))
        assert await sender.link.is_alive(replica_id)

    assert not await sender.link.is_alive(replica_id)
    assert [] == list(await sender.presence.holders(ACCOUNT, "name"))


async def test_a_higher_rank_comes_before_a_newer_claim(redis: OwnRedis, sender: Node) -> None:
    high = Holder(sender.link.replica_id, ConnectionId("1"), rank=2)
    low = Holder(sender.link.replica_id, ConnectionId("2"), rank=1)
    for holder in (high, low):
        await sender.presence.claim(ACCOUNT, "name", holder)

    assert [high, low] == list(await sender.presence.holders(ACCOUNT, "name"))


async def test_a_link_that_breaks_while_it_is_closed_is_closed(redis: OwnRedis) -> None:
    async with Wire(redis.port) as wire:
        link, restoring, breaking = RedisLink(wire.url), asyncio.Event(), asyncio.Event()

        async def restore() -> bool:
            restoring.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                breaking.set()
                await asyncio.sleep(60)  # and here it is closed
            return False

        async def live_and_end() -> None:
            async with link.open():
                link.restore = restore
                await wire.cut()
                await wire.mend()
                await restoring.wait()
                await wire.cut()
                await breaking.wait()

        ended, _ = await asyncio.wait([living := asyncio.create_task(live_and_end())], timeout=10)
        living.cancel()

        assert ended
