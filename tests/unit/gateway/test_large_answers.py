"""Small events that may be answered with megabytes: a few of an account at once, large answers in turns."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from functools import partial
from typing import Any, cast

import msgspec
import pytest

from happy.domain.values import AccountId
from happy.gateway.events import large_answers
from happy.gateway.events.large_answers import MAX_EVENTS, LargeAnswers
from happy.gateway.in_flight import MAX_WORKS, InFlight, SharedBounds
from happy.gateway.throttle import throttled
from happy.metrics import Metrics
from happy.services import large_work
from happy.services.large_work import LARGE_BYTES, LargeWork
from happy.services.rate_limit import Allowance, RateLimits
from tests.support.until import until

SOCKETS = 20
EVENTS = 10
SOON = 10.0


class FakeConnection:
    """What is needed of a connection, which is its own socket."""

    def __init__(self, account: str = "a") -> None:
        self.account_id = AccountId(account)
        self.in_flight = InFlight(SharedBounds())
        self.socket = self
        self.closed = False
        self.allowance = Allowance()

    @property
    def busy(self) -> bool:
        return self.in_flight.busy


class Crowd:
    """Clients whose events wait in the store until `gate` is set."""

    def __init__(self) -> None:
        self.large_work = LargeWork()
        self.metrics = Metrics()
        self.answers = LargeAnswers(self.large_work, self.metrics)
        self.gate = asyncio.Event()
        self.held: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.acknowledged: list[str] = []
        self.refused: list[str] = []

    async def send(self, connection: FakeConnection, events: int, *, key: str = "", size: int = 0) -> None:
        """Send them as the engine does: one begins when the awaitable of the one before has ended."""
        for number in range(events):
            if (work := self.begin(connection, key or str(number), str(number), size)) is not None:
                await work
        await connection.in_flight.ended()

    def begin(self, connection: Any, key: str, name: str, size: int) -> Awaitable[None] | None:
        work, refuse = partial(self._handle, connection, name, size), partial(self.refused.append, name)
        return self.answers.follow(connection, ("artifact", key), work, refuse)

    async def _handle(self, connection: Any, name: str, size: int) -> None:
        account = connection.account_id
        self.held[account] += 1
        self.most[account] = max(self.most[account], self.held[account])
        await self.gate.wait()
        ack = cast("Any", lambda _: self.acknowledged.append(name))
        await self.answers.answer(connection, ack, size, {"name": name})
        self.held[account] -= 1


@pytest.fixture
async def crowd() -> Crowd:
    return Crowd()


@pytest.fixture
def endless_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a turn that waits for him waits for ever."""
    monkeypatch.setattr(large_work, "MAX_TURN", 3_600.0)


async def turns() -> None:
    """Whatever can go on has gone on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_an_account_has_a_few_answers_in_memory_over_however_many_sockets(crowd: Crowd) -> None:
    loop, greedy = asyncio.get_running_loop(), [FakeConnection() for _ in range(SOCKETS)]
    tasks = [loop.create_task(crowd.send(connection, EVENTS)) for connection in greedy]
    await turns()
    modest = loop.create_task(crowd.send(FakeConnection("b"), EVENTS))
    await turns()

    assert {"a": MAX_EVENTS, "b": MAX_EVENTS} == crowd.held  # nobody waits for another account
    crowd.gate.set()
    await asyncio.gather(*tasks, modest)
    assert {"a": MAX_EVENTS, "b": MAX_EVENTS} == crowd.most
    assert (SOCKETS + 1) * EVENTS == len(crowd.acknowledged)
    assert ({}, {}) == (crowd.answers._slots._running, crowd.answers._slots._waiting)


async def test_those_that_wait_leave_the_room_of_all_connections_to_others(crowd: Crowd) -> None:
    connection = FakeConnection()
    sending = asyncio.get_running_loop().create_task(crowd.send(connection, MAX_WORKS))
    await turns()

    assert MAX_EVENTS == len(connection.in_flight._tasks)
    crowd.gate.set()
    await sending


async def test_events_of_a_connection_about_the_same_thing_keep_their_order(crowd: Crowd) -> None:
    crowd.gate.set()
    await crowd.send(FakeConnection(), EVENTS, key="the same")

    assert [str(number) for number in range(EVENTS)] == crowd.acknowledged


async def test_a_large_answer_waits_for_its_turn_and_a_small_one_does_not(crowd: Crowd) -> None:
    sizes = {"large": LARGE_BYTES, "small": LARGE_BYTES - 1}
    for name, size in sizes.items():
        assert crowd.begin(FakeConnection(), name, name, size) is None
    await turns()  # both are read
    async with crowd.large_work.turn("b"):
        crowd.gate.set()
        await until(lambda: crowd.acknowledged == ["small"])
        await turns()
        assert ["small"] == crowd.acknowledged

    await until(lambda: crowd.acknowledged == ["small", "large"])


async def test_behind_a_large_answer_the_next_is_not_read_before_its_turn(crowd: Crowd) -> None:
    assert crowd.answers._slots.try_enter("a")  # the account is busy all the time
    over = asyncio.Event()

    async def hold_turn() -> None:
        async with crowd.large_work.turn("b"):
            await over.wait()

    crowd.gate.set()
    await crowd.send(FakeConnection(), 1, size=LARGE_BYTES)
    other = asyncio.get_running_loop().create_task(hold_turn())
    await until(lambda: crowd.large_work._busy)
    crowd.gate.clear()
    assert crowd.begin(FakeConnection(), "next", "next", 0) is None
    await turns()
    assert 0 == crowd.held["a"]

    over.set()
    crowd.gate.set()
    await other
    await until(lambda: crowd.acknowledged == ["0", "next"])
    assert set() == crowd.answers._large  # its last answer was small


async def test_a_large_event_behind_one_with_a_large_answer_does_not_wait_for_itself(
    crowd: Crowd, endless_turns: None
) -> None:
    def handler(connection: Any, _: Any, __: Any) -> Awaitable[None] | None:
        return crowd.begin(connection, "", "large event", 0)

    connection: Any = FakeConnection()
    handle = throttled({"event": handler}, RateLimits().bytes, crowd.large_work)["event"]
    assert crowd.begin(connection, "", "large answer", LARGE_BYTES) is None
    await turns()
    work = handle(connection, msgspec.Raw(b"x" * LARGE_BYTES), None)
    assert work is not None
    crowd.gate.set()
    async with asyncio.timeout(SOON):
        await work

    assert ["large answer", "large event"] == crowd.acknowledged


async def test_a_large_event_is_answered_in_the_turn_that_it_has(crowd: Crowd, endless_turns: None) -> None:
    crowd.gate.set()
    blocked = [FakeConnection() for _ in range(MAX_EVENTS)]
    for connection in blocked:
        assert crowd.answers._slots.try_enter(connection.account_id)
    async with asyncio.timeout(SOON), crowd.large_work.turn("a"):
        await crowd.send(FakeConnection(), 1, size=LARGE_BYTES)

    assert ["0"] == crowd.acknowledged


async def test_nobody_waits_for_the_answer_to_a_closed_socket(crowd: Crowd) -> None:
    connection = FakeConnection()
    connection.closed = True
    crowd.gate.set()
    await crowd.send(connection, 1, size=LARGE_BYTES)

    assert ([], 0) == (crowd.acknowledged, crowd.large_work._turn)


async def test_one_that_waits_too_long_is_refused_and_the_next_of_its_connection_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(large_answers, "MAX_EVENT_WAIT", 0.01)
    crowd, connection = Crowd(), FakeConnection()
    sending = asyncio.get_running_loop().create_task(crowd.send(connection, MAX_EVENTS + 2))
    await until(lambda: crowd.refused == [str(MAX_EVENTS), str(MAX_EVENTS + 1)])

    crowd.gate.set()
    await sending
    assert MAX_EVENTS == len(crowd.acknowledged)
    assert {("events",): 2} == dict(crowd.metrics.account_limits.values)


async def test_one_that_is_cancelled_while_it_waits_takes_no_slot(crowd: Crowd) -> None:
    tasks = [
        asyncio.get_running_loop().create_task(crowd.send(FakeConnection(), 1)) for _ in range(MAX_EVENTS + 1)
    ]
    await turns()
    tasks[-1].cancel()
    crowd.gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert ({}, {}) == (crowd.answers._slots._running, crowd.answers._slots._waiting)
