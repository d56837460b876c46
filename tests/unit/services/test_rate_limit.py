"""Limits of addresses and accounts, alone and with replicas; time is an argument."""

import asyncio
import logging

import pytest

from happy.domain.client_address import LOCAL, ClientAddress
from happy.domain.errors import TooMany
from happy.domain.values import AccountId, Millis
from happy.metrics import Metrics
from happy.rates import Rate, Rates
from happy.services.rate_limit import MANY_CLIENTS, MAX_WAIT_SECONDS, Allowance, RateLimits
from tests.support.memory_buckets import MemoryBuckets

ADA = AccountId("ada")
PHONE = ClientAddress("203.0.113.7", "203.0.113.7")
LAPTOP = ClientAddress("203.0.113.8", "203.0.113.8")
PROXY = ClientAddress("10.0.0.2", "10.0.0.2", shared=True)
SIX_A_MINUTE = Rate(6, 60, 6)
RATES = Rates(sign_ins=SIX_A_MINUTE, messages=Rate(80, 60, 80), bytes=None)


class Elapsed:
    def __init__(self) -> None:
        self.now = Millis(1_000)

    def __call__(self) -> Millis:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now = Millis(self.now + int(seconds * 1000))


@pytest.fixture
def elapsed() -> Elapsed:
    return Elapsed()


@pytest.fixture
def shared(elapsed: Elapsed) -> MemoryBuckets:
    return MemoryBuckets(elapsed)


async def sign_ins(limits: RateLimits, client: ClientAddress, count: int) -> int:
    """How many of them are let in."""
    let_in = 0
    for _ in range(count):
        try:
            await limits.sign_ins.take(client)
        except TooMany:
            continue
        let_in += 1
    return let_in


def messages(limits: RateLimits, count: int, client: ClientAddress = PHONE) -> int:
    stored = 0
    for _ in range(count):
        try:
            limits.messages.take(ADA, 1, lambda: client)
        except TooMany:
            continue
        stored += 1
    return stored


async def test_an_address_that_asks_too_often_is_told_when_to_come_back(elapsed: Elapsed) -> None:
    metrics = Metrics()
    limits = RateLimits(RATES, elapsed, None, metrics)
    assert 6 == await sign_ins(limits, PHONE, 6)

    with pytest.raises(TooMany, match=r"^Too many sign ins\. Try again in 10 s\.$") as refused:
        await limits.sign_ins.take(PHONE)

    assert 10 == refused.value.retry_after
    assert {("sign_ins",): 1} == metrics.rate_limited.values
    assert 1 == await sign_ins(limits, LAPTOP, 1)  # everybody has a bucket of his own
    elapsed.pass_seconds(10)
    assert 1 == await sign_ins(limits, PHONE, 9)


async def test_processes_of_this_machine_are_not_limited(elapsed: Elapsed) -> None:
    limits = RateLimits(RATES, elapsed)

    assert 100 == await sign_ins(limits, LOCAL, 100)
    assert 1000 == messages(limits, 1000, LOCAL)


async def test_clients_that_a_proxy_hides_have_more_together(elapsed: Elapsed) -> None:
    assert 6 * MANY_CLIENTS == await sign_ins(RateLimits(RATES, elapsed), PROXY, 100)


async def test_what_has_no_rate_has_no_limit(elapsed: Elapsed, shared: MemoryBuckets) -> None:
    limits = RateLimits(RATES, elapsed, shared)
    for _ in range(100):
        limits.bytes.take(ADA, 10**9, lambda: PHONE)
        await RateLimits().sign_ins.take(PHONE)

    assert 0 == shared.trips


async def test_what_wants_no_acknowledgement_waits_for_its_turn(elapsed: Elapsed) -> None:
    limits = RateLimits(RATES, elapsed)
    waits = [limits.messages.reserve(ADA, 1, lambda: PHONE) for _ in range(82)]

    assert [0.0] * 80 == waits[:80]
    assert [0.75, 1.5] == waits[80:]
    assert MAX_WAIT_SECONDS == max(limits.messages.reserve(ADA, 1, lambda: PHONE) for _ in range(100))
    assert 0 == limits.messages.reserve(ADA, 1, lambda: LOCAL)


async def test_connections_take_tokens_in_portions_as_long_as_there_are_some(elapsed: Elapsed) -> None:
    limits = RateLimits(RATES, elapsed)
    portion = limits.messages.portion
    taken = [limits.messages.take_portion(ADA, lambda: PHONE) for _ in range(80 // portion)]

    assert [portion] * 8 == taken
    with pytest.raises(TooMany):
        limits.messages.take_portion(ADA, lambda: PHONE)
    assert portion == limits.messages.take_portion(ADA, lambda: LOCAL)
    elapsed.pass_seconds(1)
    assert 1 == limits.messages.take_portion(ADA, lambda: PHONE)


async def test_refusals_are_few_lines_in_the_log(elapsed: Elapsed, caplog: pytest.LogCaptureFixture) -> None:
    limits = RateLimits(RATES, elapsed)
    with caplog.at_level(logging.WARNING):
        assert 6 == await sign_ins(limits, PHONE, 100)

    assert ["too many sign ins: of 203.0.113.7"] * 5 == [record.getMessage() for record in caplog.records]


# ---- with other replicas


async def test_replicas_share_what_an_address_may_ask(elapsed: Elapsed, shared: MemoryBuckets) -> None:
    first, second = RateLimits(RATES, elapsed, shared), RateLimits(RATES, elapsed, shared)

    assert 4 == await sign_ins(first, PHONE, 4)
    assert 2 == await sign_ins(second, PHONE, 10)
    assert 0 == await sign_ins(first, PHONE, 10)
    elapsed.pass_seconds(60)
    assert 6 == await sign_ins(second, PHONE, 10)


async def test_a_flood_costs_no_round_trips(elapsed: Elapsed, shared: MemoryBuckets) -> None:
    limits = RateLimits(RATES, elapsed, shared)
    await sign_ins(limits, PHONE, 1000)

    assert 6 == shared.trips


async def test_replicas_share_what_an_account_may_send_in_portions(
    elapsed: Elapsed, shared: MemoryBuckets
) -> None:
    first, second = RateLimits(RATES, elapsed, shared), RateLimits(RATES, elapsed, shared)
    assert 40 == messages(first, 40)
    assert 4 == shared.trips  # an eighth of 80 each

    assert 40 <= messages(second, 80) <= 50
    assert messages(first, 80) <= 10


async def test_an_account_that_sends_little_costs_no_round_trip(
    elapsed: Elapsed, shared: MemoryBuckets
) -> None:
    messages(RateLimits(RATES, elapsed, shared), 9)

    assert 0 == shared.trips


async def test_while_redis_is_away_each_replica_goes_on_limiting(
    elapsed: Elapsed, shared: MemoryBuckets
) -> None:
    shared.away = True
    limits = RateLimits(RATES, elapsed, shared)

    assert 6 == await sign_ins(limits, PHONE, 10)
    assert 80 == messages(limits, 100)


async def test_a_silent_redis_holds_nobody_up_for_long(elapsed: Elapsed, shared: MemoryBuckets) -> None:
    shared.silent = True
    async with asyncio.timeout(5):
        await RateLimits(RATES, elapsed, shared).sign_ins.take(PHONE)


def test_no_honest_client_meets_the_limit_of_heartbeats(elapsed: Elapsed) -> None:
    """600 sessions that send one every 2 s and reconnect every half minute, all at once, and 100 machines."""
    metrics = Metrics()
    limits = RateLimits(Rates(), elapsed, None, metrics)
    sessions: list[Allowance] = []
    machines: list[Allowance] = []
    for second in range(600):
        if second % 30 == 0:
            sessions, machines = [Allowance() for _ in range(600)], [Allowance() for _ in range(100)]
        for allowance in [*sessions[second % 2 :: 2], *machines[second % 20 :: 20]]:
            if not allowance.heartbeats:
                allowance.heartbeats = limits.heartbeats.take_portion(ADA, lambda: PHONE)
            allowance.heartbeats -= 1
        elapsed.pass_seconds(1)

    assert not metrics.rate_limited.values
