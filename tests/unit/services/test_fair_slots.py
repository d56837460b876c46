"""Who waits for the store takes turns by account; of too many, the account with most of them is refused."""

import asyncio

import pytest

from happy.domain.errors import Unavailable
from happy.services.fair_slots import FairSlots


class Work:
    """Enters in the order of the names, each once a slot is free."""

    def __init__(self, slots: FairSlots) -> None:
        self.slots = slots
        self.begun: list[str] = []

    async def begin(self, whose: str) -> None:
        await self.slots.enter(whose, 20)
        self.begun.append(whose)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_accounts_take_turns() -> None:
    work = Work(FairSlots(1, 100))
    tasks = [asyncio.create_task(work.begin(whose)) for whose in "aaaabc"]
    for _ in tasks:
        await settle()
        work.slots.release()

    assert list("aabcaa") == work.begun
    await asyncio.gather(*tasks)
    await work.slots.enter("a", 20)


async def test_of_too_many_the_account_with_most_of_them_is_refused() -> None:
    work = Work(FairSlots(1, 3))
    await work.slots.enter("z", 20)
    tasks = [asyncio.create_task(work.begin(whose)) for whose in "aaabb"]
    await settle()
    for _ in range(3):
        work.slots.release()
        await settle()

    assert list("aba") == work.begun
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [False, False, True, False, True] == [isinstance(each, Unavailable) for each in outcomes]


async def test_a_slot_that_is_waited_for_too_long_is_given_to_others() -> None:
    slots = FairSlots(1, 3)
    await slots.enter("a", 20)
    with pytest.raises(Unavailable):
        await slots.enter("b", 0.01)
    slots.release()

    await slots.enter("c", 0.01)


async def test_one_that_is_cancelled_as_it_gets_its_slot_gives_it_on() -> None:
    slots = FairSlots(1, 3)
    await slots.enter("a", 20)
    waiting = asyncio.create_task(slots.enter("b", 20))
    await settle()
    slots.release()
    waiting.cancel()
    await settle()

    await slots.enter("c", 0.01)
