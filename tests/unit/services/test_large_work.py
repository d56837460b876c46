"""Turns for large pieces of work: one at a time, with pauses, the accounts one after the other."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from happy.services import large_work
from happy.services.large_work import LargeWork
from tests.support.until import until


class Crowd:
    """Pieces of work, which end when they are told."""

    def __init__(self) -> None:
        self.work = LargeWork()
        self.begun: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.tasks: list[asyncio.Task[None]] = []

    def start(self, name: str) -> asyncio.Task[None]:
        """A piece of the account that is the first letter of its name."""
        self.gates[name] = asyncio.Event()
        self.tasks.append(asyncio.get_running_loop().create_task(self._do(name)))
        return self.tasks[-1]

    async def _do(self, name: str) -> None:
        async with self.work.turn(name[0]):
            self.begun.append(name)
            await self.gates[name].wait()

    async def finish(self, name: str) -> None:
        self.gates[name].set()
        await self.tasks[list(self.gates).index(name)]


@pytest_asyncio.fixture
async def crowd() -> AsyncIterator[Crowd]:
    crowd = Crowd()
    yield crowd
    for gate in crowd.gates.values():
        gate.set()
    await asyncio.gather(*crowd.tasks, return_exceptions=True)


async def begun(crowd: Crowd, *names: str) -> None:
    await until(lambda: crowd.begun == list(names))


async def test_accounts_take_turns_however_many_pieces_one_of_them_has(crowd: Crowd) -> None:
    for name in ("a1", "a2", "a3", "b1", "c1", "b2"):
        crowd.start(name)
    order = ["a1", "a2", "b1", "c1", "a3", "b2"]
    for count, name in enumerate(order, start=1):
        await begun(crowd, *order[:count])
        await crowd.finish(name)


async def test_the_first_piece_begins_at_once(crowd: Crowd) -> None:
    crowd.start("a1")
    await asyncio.sleep(0)

    assert ["a1"] == crowd.begun


async def test_behind_a_piece_is_a_pause_as_long_as_it_took(crowd: Crowd) -> None:
    crowd.start("a1")
    crowd.start("b1")
    await begun(crowd, "a1")
    time.sleep(0.05)  # noqa: ASYNC251 - a piece of work that keeps the event loop
    await crowd.finish("a1")
    ended = time.monotonic()
    await begun(crowd, "a1", "b1")

    assert time.monotonic() - ended > 0.04


async def test_a_piece_that_takes_too_long_is_not_waited_for(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_work, "MAX_TURN", 0.01)
    for name in ("a1", "b1", "c1"):
        crowd.start(name)
    await begun(crowd, "a1", "b1", "c1")
    await crowd.finish("a1")  # its end is not that of the turn of another

    crowd.start("d1")
    await begun(crowd, "a1", "b1", "c1", "d1")


async def test_one_that_fails_or_is_cancelled_ends_its_turn(crowd: Crowd) -> None:
    first, second, _ = (crowd.start(name) for name in ("a1", "b1", "c1"))
    await begun(crowd, "a1")
    second.cancel()
    first.cancel()
    await begun(crowd, "a1", "c1")
    await crowd.finish("c1")

    with pytest.raises(ZeroDivisionError):
        async with crowd.work.turn("d"):
            raise ZeroDivisionError
    crowd.start("e1")
    await begun(crowd, "a1", "c1", "e1")


async def test_one_that_is_cancelled_as_its_turn_comes_gives_it_on(crowd: Crowd) -> None:
    crowd.start("a1")
    second = crowd.start("b1")
    crowd.start("c1")
    await begun(crowd, "a1")
    work = crowd.work
    original = work._next

    def cancel_the_second() -> None:
        original()
        second.cancel()

    work._next = cancel_the_second  # type: ignore[method-assign]
    await crowd.finish("a1")
    work._next = original  # type: ignore[method-assign]
    await begun(crowd, "a1", "c1")


async def test_a_turn_within_a_turn_is_part_of_it(crowd: Crowd) -> None:
    crowd.start("a1")
    await begun(crowd, "a1")
    assert not crowd.work.in_turn  # it is that of another task
    await crowd.finish("a1")

    async with crowd.work.turn("a"):
        async with asyncio.timeout(0.5), crowd.work.turn("a"):
            within = crowd.work.in_turn
        still = crowd.work.in_turn
    assert (True, True, False) == (within, still, crowd.work.in_turn)
