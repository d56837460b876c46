"""What one account, and all of them, have waiting of large events is bounded."""

import asyncio
from collections.abc import Awaitable
from typing import Any, cast

import pytest

from happy.domain.values import AccountId
from happy.gateway import large_events
from happy.gateway.large_events import LargeEvents
from happy.metrics import Metrics


class FakeConnection:
    """What is needed of a connection, which is its own socket."""

    busy = False

    def __init__(self, account: str = "a") -> None:
        self.account_id = AccountId(account)
        self.socket = self
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Crowd:
    def __init__(self) -> None:
        self.metrics = Metrics()
        self.events = LargeEvents(self.metrics)
        self.begun: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}

    def send(self, name: str, size: int, connection: FakeConnection | None = None) -> "asyncio.Task[None]":
        gate = self.gates[name] = asyncio.Event()

        def begin() -> Awaitable[Any]:
            self.begun.append(name)
            return gate.wait()

        sender = cast("Any", connection or FakeConnection())
        return asyncio.get_running_loop().create_task(self.events.hold(sender, size, begin))


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_an_account_with_too_much_waiting_loses_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_events, "MAX_ACCOUNT_BYTES", 10)
    crowd, offender, honest = Crowd(), FakeConnection(), FakeConnection("b")
    tasks = [crowd.send("1", 11), crowd.send("2", 1, offender), crowd.send("3", 11, honest)]
    await settle()

    assert (True, False) == (offender.closed, honest.closed)
    assert {("large_events",): 1} == crowd.metrics.account_limits.values
    for gate in crowd.gates.values():
        gate.set()
    await asyncio.gather(*tasks)
    assert ["1", "3"] == crowd.begun


async def test_when_all_have_too_much_waiting_each_account_keeps_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_events, "MAX_ALL_BYTES", 10)
    crowd, honest, greedy = Crowd(), FakeConnection("b"), FakeConnection("a")
    tasks = [crowd.send("1", 9, FakeConnection("a")), crowd.send("2", 9, honest), crowd.send("3", 1, greedy)]
    await settle()

    assert (False, True) == (honest.closed, greedy.closed)
    for gate in crowd.gates.values():
        gate.set()
    await asyncio.gather(*tasks)


async def test_an_event_that_fails_or_is_cancelled_is_held_no_more() -> None:
    crowd = Crowd()
    first = crowd.send("1", 5)
    await settle()
    first.cancel()
    await settle()

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await crowd.events.hold(cast("Any", FakeConnection()), 5, fail)
    assert (0, {}) == (crowd.events._held_by_all, dict(crowd.events._held))
