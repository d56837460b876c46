"""A few things of one account at once; the others wait in order."""

import asyncio

import pytest

from happy.domain.errors import Unavailable
from happy.services.account_slots import AccountSlots

MOST = 4


@pytest.fixture
def slots() -> AccountSlots:
    return AccountSlots(MOST, 5.0)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_an_account_wants_beyond_a_few_waits_for_a_slot(slots: AccountSlots) -> None:
    loop, begun = asyncio.get_running_loop(), list[int]()

    async def begin(number: int) -> None:
        await slots.enter("a")
        begun.append(number)

    tasks = [loop.create_task(begin(number)) for number in range(MOST + 3)]
    await settle()
    assert list(range(MOST)) == begun
    async with asyncio.timeout(5):
        await slots.enter("b")  # another account

    tasks[MOST].cancel()
    slots.release("a")
    await settle()
    assert [*range(MOST), MOST + 1] == begun

    for _ in range(MOST + 1):
        slots.release("a")
        await settle()
    slots.release("b")
    assert ({}, {}) == (slots._running, slots._waiting)
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_that_is_cancelled_as_it_gets_its_slot_gives_it_on(slots: AccountSlots) -> None:
    for _ in range(MOST):
        await slots.enter("a")
    waiting = asyncio.get_running_loop().create_task(slots.enter("a"))
    await settle()
    slots.release("a")
    waiting.cancel()
    await settle()

    for _ in range(MOST - 1):
        slots.release("a")
    assert ({}, {}) == (slots._running, slots._waiting)


async def test_who_waits_too_long_is_refused() -> None:
    slots = AccountSlots(1, 0.01)
    async with slots.slot("a"):
        with pytest.raises(Unavailable):
            await slots.enter("a")

    assert ({}, {}) == (slots._running, slots._waiting)
