"""What Redis, or the way to it, may do without anybody losing an event."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from happy.adapters.full.redis import epochs, recent_commands
from happy.adapters.full.redis import link as redis_link
from happy.adapters.full.redis.account import ENVELOPE
from happy.adapters.full.redis.envelopes import Retention
from happy.adapters.full.redis.link import LinkHandler, RedisLink
from happy.domain.ports.cluster import CLOCK_MS
from happy.domain.ports.delivery import NotDelivered
from happy.domain.ports.presence import Holder
from happy.domain.values import AccountId, ConnectionId
from tests.contract.flavors import Replica, open_replica
from tests.contract.redis_barriers import link_of, settled
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
async def sender(redis: OwnRedis) -> AsyncIterator[Replica]:
    async with open_replica(redis.url) as replica:
        yield replica


@asynccontextmanager
async def listener(url: str, *accounts: AccountId) -> AsyncIterator[Replica]:
    async with open_replica(url) as replica:
        for account in accounts:
            await replica.bus.subscribe(account)
        yield replica


def received(replica: Replica, account: AccountId = ACCOUNT) -> list[int]:
    return [int(envelope) for of, envelope in replica.envelopes if of == account]


def send(replica: Replica, *numbers: int, account: AccountId = ACCOUNT) -> None:
    for number in numbers:
        replica.bus.publish(account, str(number).encode())


async def test_frames_arrive_in_order_and_never_at_their_sender(redis: OwnRedis, sender: Replica) -> None:
    await sender.bus.subscribe(ACCOUNT)
    async with listener(redis.url, ACCOUNT) as replica:
        send(sender, *range(1000))
        await until(lambda: len(replica.envelopes) == 1000)

        assert list(range(1000)) == received(replica)
        assert [] == sender.envelopes


async def test_only_envelopes_of_subscribed_accounts_arrive(redis: OwnRedis, sender: Replica) -> None:
    async with listener(redis.url, ACCOUNT) as replica:
        send(sender, 1, account=OTHER)
        send(sender, 2)
        replica.bus.unsubscribe(OTHER)
        await until(lambda: received(replica) == [2])

        assert [] == received(replica, OTHER)


async def test_what_was_published_before_the_subscription_does_not_arrive(
    redis: OwnRedis, sender: Replica
) -> None:
    send(sender, 1, 2)
    async with listener(redis.url, OTHER) as replica:
        send(sender, 3, account=OTHER)
        await until(lambda: received(replica, OTHER) == [3])
        await replica.bus.subscribe(ACCOUNT)
        send(sender, 4)
        await until(lambda: received(replica) == [4])


async def test_a_message_reaches_the_replica_it_is_for(redis: OwnRedis, sender: Replica) -> None:
    async with listener(redis.url) as replica:
        sender.link.send(replica.link.replica_id, b"hello")
        await until(lambda: replica.messages == [(sender.link.replica_id, b"hello")])

        assert [] == sender.messages


async def test_a_cut_wire_costs_nothing(redis: OwnRedis, sender: Replica) -> None:
    async with Wire(redis.port) as wire, listener(wire.url, ACCOUNT, OTHER) as replica:
        send(sender, 1, 2)
        await until(lambda: received(replica) == [1, 2])
        await wire.cut()
        send(sender, 3, 4)
        send(sender, 1, account=OTHER)
        replica.bus.publish(ACCOUNT, b"100")
        await sender.bus.subscribe(ACCOUNT)
        await wire.mend()
        await until(lambda: len(replica.envelopes) == 5 and received(sender) == [100])

        assert ([1, 2, 3, 4], [1]) == (received(replica), received(replica, OTHER))
        assert [] == replica.resyncs


async def test_cutting_the_wire_again_and_again_costs_nothing(redis: OwnRedis, sender: Replica) -> None:
    async with (
        Wire(redis.port) as wire,
        Wire(redis.port) as other,
        listener(wire.url, ACCOUNT) as replica,
        listener(other.url, ACCOUNT) as third,
    ):
        for turn in range(8):
            send(sender, *range(turn * 20, turn * 20 + 10))
            for number in range(turn * 20 + 10, turn * 20 + 20):
                send(third, number)
                await asyncio.sleep(0.001)  # a pace
            for broken in (wire, other) if turn % 2 else (wire,):
                await broken.cut()
            await asyncio.sleep(0.02)  # a pace
            for broken in (wire, other) if turn % 2 else (wire,):
                await broken.mend()
        await until(lambda: len(replica.envelopes) >= 160)

        assert list(range(160)) == sorted(received(replica))
        assert [] == replica.resyncs


async def test_an_outage_longer_than_the_history_resyncs_exactly_that_account(
    redis: OwnRedis, sender: Replica
) -> None:
    async with Wire(redis.port) as wire, listener(wire.url, ACCOUNT, OTHER) as replica:
        send(sender, 0)
        await until(lambda: received(replica) == [0])
        await wire.cut()
        send(sender, *range(1, 2 * KEPT.envelopes + 200))
        send(sender, 1, account=OTHER)
        await until(lambda: not redis_is_behind(sender))
        await wire.mend()
        await until(lambda: received(replica, OTHER) == [1] and replica.resyncs != [])

        assert [ACCOUNT] == replica.resyncs
        send(sender, -1)
        await until(lambda: received(replica)[-1] == -1)


def redis_is_behind(replica: Replica) -> bool:
    link = link_of(replica)
    return bool(link._queue or link._in_flight)


async def test_an_envelope_too_large_to_keep_causes_a_resync_after_an_outage(
    redis: OwnRedis, sender: Replica
) -> None:
    large = b"7" * (KEPT.bytes + 1)
    async with Wire(redis.port) as wire, listener(wire.url, ACCOUNT) as replica:
        sender.bus.publish(ACCOUNT, large)
        await until(lambda: len(replica.envelopes) == 1)
        await wire.cut()
        sender.bus.publish(ACCOUNT, large)
        await wire.mend()
        await until(lambda: replica.resyncs == [ACCOUNT])


async def test_a_redis_that_forgets_everything_costs_nothing(redis: OwnRedis, sender: Replica) -> None:
    async with listener(redis.url, ACCOUNT, OTHER) as replica:
        send(sender, 1, 2)
        await until(lambda: received(replica) == [1, 2])
        redis.stop()
        send(sender, 3)
        await until(lambda: not up(sender) and not up(replica))
        send(sender, 4)
        send(sender, 5, account=OTHER)
        redis.start()
        await until(lambda: received(replica) == [1, 2, 3, 4] and received(replica, OTHER) == [5])
        await settled(link_of(sender), link_of(replica))

        assert [1, 2, 3, 4] == received(replica)
        assert [] == replica.resyncs


async def test_what_redis_confirmed_and_lost_is_published_again(redis: OwnRedis, sender: Replica) -> None:
    async with Wire(redis.port) as wire, listener(wire.url, ACCOUNT) as replica:
        await wire.cut()
        send(sender, 1)
        await until(lambda: not redis_is_behind(sender))
        redis.stop()
        redis.start()
        await wire.mend()
        await until(lambda: received(replica) == [1])

        assert [] == replica.resyncs


async def test_a_failover_of_redis_loses_no_event(redis: OwnRedis, tmp_path: Path) -> None:
    """The new primary lacks the last confirmed envelopes, and gives their offsets to others."""
    (folder := tmp_path / "standby").mkdir()
    with own_redis(folder) as standby:
        async with (
            Wire(redis.port) as wire,
            Wire(redis.port) as slow,
            open_replica(wire.url) as one,
            open_replica(slow.url) as other,
            listener(wire.url, ACCOUNT) as replica,
        ):
            await standby.command("REPLICAOF", "127.0.0.1", str(redis.port))
            send(one, 1, 2)
            await until(lambda: received(replica) == [1, 2])
            await until(lambda: follows(standby, redis))
            await standby.command("REPLICAOF", "NO", "ONE")
            send(one, 3)
            await until(lambda: received(replica) == [1, 2, 3])
            for line in (wire, slow):
                line.leads_to(standby.port)
                await line.cut()
            await slow.mend()
            send(other, 4)
            await until(lambda: not redis_is_behind(other) and up(other))
            await wire.mend()
            await until(lambda: sorted(received(replica)) == [1, 2, 3, 4])
            send(one, 5)
            send(other, 6)
            await until(lambda: sorted(received(replica)) == [1, 2, 3, 4, 5, 6])

            assert [] == replica.resyncs


async def follows(standby: OwnRedis, primary: OwnRedis) -> bool:
    """Whether the standby has all that was written to the primary."""
    there, here = [await redis.command("INFO", "replication") for redis in (primary, standby)]
    offsets = [re.findall(rb"master_repl_offset:\d+", info) for info in (there, here)]
    return b"master_link_status:up" in here and offsets[0] == offsets[1]


def up(replica: Replica) -> bool:
    return link_of(replica).up


async def test_a_frame_that_is_sent_twice_is_kept_once(redis: OwnRedis, sender: Replica) -> None:
    assert sender.history is not None
    await sender.bus.subscribe(ACCOUNT)
    start = sender.history.position(ACCOUNT)
    assert start is not None
    send(sender, 1)
    bus: Any = sender.bus
    bus._link.send_packed(bus._publication(ACCOUNT, bus.number, 0, ENVELOPE, b"1"))
    await bus._link.execute("PING")
    send(sender, 2)
    await bus._link.execute("PING")
    kept = await sender.history.since(ACCOUNT, start, unbroken=True)

    assert [b"1", b"2"] == [event.envelope for event in kept or []]


@pytest.mark.slow
async def test_half_a_minute_without_redis_costs_nothing(redis: OwnRedis, sender: Replica) -> None:
    """One replica is cut off, then Redis is away, and all go on publishing: each receives all, or resyncs."""
    async with (
        Wire(redis.port) as wire,
        listener(wire.url, ACCOUNT) as replica,
        listener(redis.url, ACCOUNT) as other,
    ):
        await sender.bus.subscribe(ACCOUNT)
        await wire.cut()
        send(sender, *range(10))
        send(replica, *range(10, 20))
        await asyncio.sleep(OUTAGE_SECONDS / 2)
        redis.stop()
        send(sender, *range(20, 30))
        send(other, *range(30, 40))
        await asyncio.sleep(OUTAGE_SECONDS / 2)
        redis.start()
        await wire.mend()
        published = {sender: {*range(10), *range(20, 30)}, replica: {*range(10, 20)}, other: {*range(30, 40)}}
        for one, own in published.items():
            others = set(range(40)) - own
            await until(partial(_received_or_resynced, one, others))

            assert len(received(one)) == len(set(received(one)))


def _received_or_resynced(replica: Replica, others: set[int]) -> bool:
    return others <= set(received(replica)) or replica.resyncs != []


async def test_a_redis_that_falls_silent_is_noticed(
    redis: OwnRedis, sender: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_link, "REPLY_SECONDS", 1.0)
    async with Wire(redis.port) as wire, listener(wire.url, ACCOUNT) as replica:
        await settled(link_of(replica))
        before = wire.connections
        wire.hold()
        await until(lambda: not up(replica))
        await until(lambda: wire.connections > before)  # it connects to something that says nothing
        send(sender, 1)
        wire.release()
        await until(lambda: received(replica) == [1])

        assert [] == replica.resyncs


async def test_a_replica_that_lost_redis_long_before_its_restart_resyncs(
    redis: OwnRedis, sender: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent_commands, "RECENT_SECONDS", 0.1)
    monkeypatch.setattr(epochs, "LATE_SECONDS", 0.5)
    async with Wire(redis.port) as wire, listener(wire.url, ACCOUNT) as replica:
        await wire.cut()
        send(sender, 1)
        await asyncio.sleep(0.7)  # longer than LATE_SECONDS
        send(sender, 2)
        await until(lambda: not redis_is_behind(sender))
        redis.stop()
        redis.start()
        await wire.mend()
        await until(lambda: replica.resyncs != [])


async def test_a_subscription_during_an_outage_receives_what_is_published_later(
    redis: OwnRedis, sender: Replica
) -> None:
    async with listener(redis.url) as replica:
        send(sender, 1)
        await until(lambda: not redis_is_behind(sender))
        redis.stop()
        await until(lambda: not up(replica))
        await replica.bus.subscribe(ACCOUNT)
        send(sender, 2)
        redis.start()
        await until(lambda: received(replica)[-1:] == [2])  # and perhaps 1, which is less than CLOCK_MS old

        assert [] == replica.resyncs


async def test_an_event_reaches_an_earlier_subscription_though_clocks_differ(
    redis: OwnRedis, sender: Replica
) -> None:
    """The sender is back first, so the other reads the event from the history and judges it by its time."""
    async with Wire(redis.port) as wire, listener(wire.url) as replica:
        await wire.cut()
        redis.stop()
        await until(lambda: not up(replica) and not up(sender))
        await replica.bus.subscribe(ACCOUNT)
        sender.bus._ahead -= CLOCK_MS // 2  # type: ignore[attr-defined]
        send(sender, 1)
        redis.start()
        await until(lambda: up(sender) and not redis_is_behind(sender))
        await wire.mend()
        await until(lambda: received(replica) == [1])

        assert [] == replica.resyncs


async def test_dropped_envelopes_cause_a_resync(
    redis: OwnRedis, sender: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_link, "MAX_QUEUED", 3)
    async with listener(redis.url, ACCOUNT) as replica:
        redis.stop()
        await until(lambda: not up(sender))
        send(sender, *range(10))
        redis.start()
        await until(lambda: received(replica)[-1:] == [9] and replica.resyncs == [ACCOUNT])
        assert sender.drops.count((NotDelivered.OUTAGE_OVERFLOW, ACCOUNT)) >= 10 - 3


async def test_what_was_too_large_to_be_repeated_causes_a_resync_when_redis_lost_it(
    redis: OwnRedis, sender: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Confirmed messages of 16 MB were kept for 5 s each, as many as came."""
    monkeypatch.setattr(recent_commands, "MAX_RECENT_BYTES", 1)
    async with listener(redis.url, ACCOUNT) as replica:
        send(sender, 1, 2)
        await until(lambda: received(replica) == [1, 2] and not redis_is_behind(sender))
        assert not link_of(sender)._recent._commands
        redis.stop()
        redis.start()
        await until(lambda: replica.resyncs != [])


async def test_claims_are_made_again_after_redis_lost_them(redis: OwnRedis, sender: Replica) -> None:
    holders = [
        Holder(sender.link.replica_id, ConnectionId(name), rank) for name, rank in (("1", 2), ("2", 0))
    ]
    async with listener(redis.url) as replica:
        for holder in holders:
            await sender.presence.claim(ACCOUNT, "name", holder)
        redis.stop()
        await sender.presence.release(ACCOUNT, "other name", holders[0])
        redis.start()
        await until(lambda: up(replica) and up(sender))
        await sender.presence.holders(ACCOUNT, "name")  # after what waited

        assert holders == list(await replica.presence.holders(ACCOUNT, "name"))


async def test_what_is_released_during_an_outage_is_gone_afterwards(redis: OwnRedis, sender: Replica) -> None:
    async with Wire(redis.port) as wire, listener(wire.url) as replica:
        holder = Holder(replica.link.replica_id, ConnectionId("1"))
        await replica.presence.claim(ACCOUNT, "name", holder)
        await wire.cut()
        await until(lambda: not up(replica))
        assert [holder] == list(await replica.presence.holders(ACCOUNT, "name"))
        await replica.presence.release(ACCOUNT, "name", holder)
        await wire.mend()
        await until(lambda: up(replica))
        await replica.presence.holders(ACCOUNT, "name")

        assert [] == list(await sender.presence.holders(ACCOUNT, "name"))


async def test_a_replica_that_shuts_down_is_dead_at_once_and_holds_no_claim(
    redis: OwnRedis, sender: Replica
) -> None:
    async with listener(redis.url) as replica:
        replica_id = replica.link.replica_id
        await replica.presence.claim(ACCOUNT, "name", Holder(replica_id, ConnectionId("1")))
        assert await sender.link.is_alive(replica_id)

    assert not await sender.link.is_alive(replica_id)
    assert [] == list(await sender.presence.holders(ACCOUNT, "name"))


async def test_a_higher_rank_comes_before_a_newer_claim(redis: OwnRedis, sender: Replica) -> None:
    high = Holder(sender.link.replica_id, ConnectionId("1"), rank=2)
    low = Holder(sender.link.replica_id, ConnectionId("2"), rank=1)
    for holder in (high, low):
        await sender.presence.claim(ACCOUNT, "name", holder)

    assert [high, low] == list(await sender.presence.holders(ACCOUNT, "name"))


class HangingAtReconnect(LinkHandler):
    def __init__(self) -> None:
        self.connected = False
        self.restoring, self.breaking = asyncio.Event(), asyncio.Event()

    async def restore(self) -> bool:
        if not self.connected:
            self.connected = True
            return False
        self.restoring.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.breaking.set()
            await asyncio.sleep(60)  # and here it is closed
        return False


async def test_a_link_that_breaks_while_it_is_closed_is_closed(redis: OwnRedis) -> None:
    async with Wire(redis.port) as wire:
        link, handler = RedisLink(wire.url), HangingAtReconnect()

        async def live_and_end() -> None:
            async with link.open(handler):
                await wire.cut()
                await wire.mend()
                await handler.restoring.wait()
                await wire.cut()
                await handler.breaking.wait()

        ended, _ = await asyncio.wait([living := asyncio.create_task(live_and_end())], timeout=10)
        living.cancel()

        assert ended
