"""What one connection sends while the store is at work: who waits for whom, answers in order, bounds."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from happy.gateway import in_flight
from happy.gateway.in_flight import InFlight, SharedBounds

ONE, OTHER = ("session", "one"), ("session", "other")


class Store:
    """Where all work waits until it is let go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self._done: dict[str, asyncio.Future[None]] = {}

    async def work(self, name: str) -> None:
        self.begun.append(name)
        self._done[name] = asyncio.get_running_loop().create_future()
        await self._done[name]

    async def end(self, *names: str, error: Exception | None = None) -> None:
        for name in names:
            if error is None:
                self._done[name].set_result(None)
            else:
                self._done[name].set_exception(error)
        await turns()


async def turns() -> None:
    """Whatever can go on has gone on."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def store() -> Store:
    return Store()


@pytest.fixture
async def flying() -> InFlight:
    return InFlight(SharedBounds())


async def test_work_that_overlaps_begins_at_once_and_in_order(store: Store, flying: InFlight) -> None:
    waits = [flying.overlap(ONE, store.work(name), 1) for name in "abc"]
    await turns()

    assert [None] * 3 == waits
    assert ["a", "b", "c"] == store.begun
    assert flying.busy
    await store.end("a", "b", "c")
    assert not flying.busy


async def test_what_follows_waits_for_all_before_it_and_lets_nothing_pass(
    store: Store, flying: InFlight
) -> None:
    for name in ("m1", "m2"):
        flying.overlap(ONE, store.work(name), 1)
    flying.follow(ONE, store.work("u1"))
    flying.follow(ONE, store.work("u2"))
    for name in ("m3", "m4"):
        flying.overlap(ONE, store.work(name), 1)
    flying.overlap(OTHER, store.work("other"), 1)
    await turns()
    seen = [list(store.begun)]
    for ended in (("m1", "m2"), ("u1",), ("u2",)):
        await store.end(*ended)
        seen.append(store.begun[len(seen[0]) :])

    assert [["m1", "m2", "other"], ["u1"], ["u1", "u2"], ["u1", "u2", "m3", "m4"]] == seen
    await store.end("m3", "m4", "other")
    assert not flying.busy


async def test_a_failure_concerns_nobody_else(
    store: Store, flying: InFlight, caplog: pytest.LogCaptureFixture
) -> None:
    flying.overlap(ONE, store.work("bad"), 1)
    flying.overlap(ONE, store.work("good"), 1)
    flying.follow(ONE, store.work("next"))
    await turns()
    await store.end("bad", error=RuntimeError("the store"))
    await store.end("good")

    assert ["bad", "good", "next"] == store.begun
    assert ["event handler failed"] == [record.message for record in caplog.records]
    await store.end("next")
    await flying.ended()


async def test_answers_leave_in_the_order_of_the_messages(flying: InFlight) -> None:
    sent: list[bytes] = []
    acks: list[Any] = [flying.in_order(sent.append) for _ in range(3)]  # type: ignore[arg-type]
    acks[1](b"1")
    acks[2](b"2")
    before = list(sent)
    acks[0](b"0")

    assert [] == before
    assert [b"0", b"1", b"2"] == sent
    assert flying.in_order(None) is None


async def ends(waiting: Awaitable[None] | None) -> "asyncio.Task[None]":
    assert waiting is not None
    task = asyncio.ensure_future(waiting)
    await turns()
    return task


@pytest.mark.parametrize(("count", "size"), [(in_flight.MAX_WORKS, 1), (2, in_flight.MAX_BYTES // 2)])
async def test_beyond_its_bounds_a_connection_is_not_read_until_something_has_ended(
    store: Store, flying: InFlight, count: int, size: int
) -> None:
    waits = [flying.overlap(ONE, store.work(str(number)), size) for number in range(count)]
    reading = await ends(waits[-1])
    before = reading.done()
    await store.end("0")

    assert [None] * (count - 1) == waits[:-1]
    assert (False, True) == (before, reading.done())
    await store.end(*store.begun[1:])


async def test_beyond_what_all_share_each_connection_waits_for_its_own(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_flight, "MAX_SHARED_WORKS", 2)
    shared = SharedBounds()
    greedy, modest = InFlight(shared), InFlight(shared)
    waits = [greedy.overlap(ONE, store.work(name), 1) for name in "abc"]
    others = modest.overlap(ONE, store.work("x"), 1)
    one, two = await ends(waits[2]), await ends(others)
    await store.end("x")
    ended = (one.done(), two.done())
    await store.end("b")

    assert [None, None] == waits[:2]
    assert (False, True) == ended
    assert one.done()
    await store.end("a", "c")
    assert (0, 0) == (shared.works, shared.size)
