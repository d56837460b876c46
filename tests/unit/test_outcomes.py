"""Outcomes of a commit wake a few tasks at a time, in order."""

import asyncio
import itertools

import pytest

from happy.adapters.sql.outcomes import AT_ONCE, Outcomes


async def test_a_commit_of_many_messages_kept_the_event_loop_until_all_were_sent() -> None:
    loop, woken, seen = asyncio.get_running_loop(), list[int](), list[int]()
    outcomes = Outcomes(loop)
    futures = [loop.create_future() for _ in range(5 * AT_ONCE)]

    async def wait(number: int) -> None:
        await futures[number]
        woken.append(number)

    tasks = [loop.create_task(wait(number)) for number in range(len(futures))]
    await asyncio.sleep(0)
    outcomes.add((future, None, None) for future in futures[: 3 * AT_ONCE])
    outcomes.add((future, None, None) for future in futures[3 * AT_ONCE :])
    while len(woken) < len(futures):
        await asyncio.sleep(0)
        seen.append(len(woken))

    assert list(range(len(futures))) == woken
    assert max(after - before for before, after in itertools.pairwise(seen)) <= AT_ONCE
    await asyncio.gather(*tasks)


async def test_errors_are_raised_and_who_was_cancelled_is_left_out() -> None:
    loop = asyncio.get_running_loop()
    failed, cancelled, done = (loop.create_future() for _ in range(3))
    cancelled.cancel()
    Outcomes(loop).add([(failed, None, ZeroDivisionError()), (cancelled, 1, None), (done, 2, None)])

    assert 2 == await done
    with pytest.raises(ZeroDivisionError):
        await failed
