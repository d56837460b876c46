"""A few reads of one account at once; the others wait in order."""

import asyncio

import pytest

from happy.http.framework.reads import MAX_READS, Reads


@pytest.fixture
def reads() -> Reads:
    return Reads()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_an_account_reads_beyond_a_few_waits_for_a_place(reads: Reads) -> None:
    loop, begun = asyncio.get_running_loop(), list[int]()

    async def read(number: int) -> None:
        await reads.enter("a")
        begun.append(number)

    tasks = [loop.create_task(read(number)) for number in range(MAX_READS + 3)]
    await settle()
    assert list(range(MAX_READS)) == begun
    async with asyncio.timeout(5):
        await reads.enter("b")  # another account

    tasks[MAX_READS].cancel()
    reads.leave("a")
    await settle()
    assert [*range(MAX_READS), MAX_READS + 1] == begun

    for _ in range(MAX_READS + 1):
        reads.leave("a")
        await settle()
    reads.leave("b")
    assert ({}, {}) == (reads._running, reads._waiting)
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_that_is_cancelled_as_it_gets_its_place_gives_it_on(reads: Reads) -> None:
    for _ in range(MAX_READS):
        await reads.enter("a")
    waiting = asyncio.get_running_loop().create_task(reads.enter("a"))
    await settle()
    reads.leave("a")
    waiting.cancel()
    await settle()

    for _ in range(MAX_READS - 1):
        reads.leave("a")
    assert ({}, {}) == (reads._running, reads._waiting)
