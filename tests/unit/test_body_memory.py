"""The memory of all bodies together: `happy/http/framework/body_memory.py`."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from happy.domain.errors import Unavailable
from happy.http.framework import body_memory
from happy.http.framework.body_memory import BodyMemory, BodyShare
from happy.http.framework.limits import MAX_SMALL_BODY

LARGE = 4 * MAX_SMALL_BODY


class Connection:
    """A transport that can be reset."""

    def __init__(self) -> None:
        self.reset = False

    def get_extra_info(self, name: str) -> None:
        raise OSError(name)

    def abort(self) -> None:
        self.reset = True


@pytest.fixture
def memory() -> BodyMemory:
    return BodyMemory(small=MAX_SMALL_BODY, large=LARGE)


@pytest.fixture
def requests() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


async def waits(work: "asyncio.Task[None]") -> bool:
    for _ in range(10):
        await asyncio.sleep(0)
    return not work.done()


async def test_a_body_waits_until_another_is_answered(memory: BodyMemory, requests: ExitStack) -> None:
    first, second = memory.share(), requests.enter_context(memory.share())
    with first:
        await first.take(LARGE)
        waiting = asyncio.ensure_future(second.take(2 * MAX_SMALL_BODY))
        assert await waits(waiting)
        assert LARGE + 2 * MAX_SMALL_BODY == memory.held
    await waiting

    assert 2 * MAX_SMALL_BODY == memory.held


async def test_the_body_that_began_first_is_always_read_on(memory: BodyMemory, requests: ExitStack) -> None:
    """Two halves of large bodies would otherwise wait for each other."""
    first, second = (requests.enter_context(memory.share()) for _ in range(2))
    await first.take(LARGE // 2)
    await second.take(LARGE // 2)
    waiting = asyncio.ensure_future(second.take(1))
    assert await waits(waiting)

    await first.take(LARGE // 2)  # returns
    first.complete()
    assert not await waits(waiting), "it is the first of the incomplete ones now"


async def test_small_bodies_do_not_wait_for_large_ones(memory: BodyMemory, requests: ExitStack) -> None:
    large, small = (requests.enter_context(memory.share()) for _ in range(2))
    await large.take(2 * LARGE)
    await small.take(MAX_SMALL_BODY)

    assert 2 * LARGE + MAX_SMALL_BODY == memory.held


async def test_everything_is_given_back(memory: BodyMemory) -> None:
    with memory.share() as share:
        await share.take(10)
        await share.take(LARGE)
    with memory.share():
        pass

    assert 0 == memory.held


async def test_a_body_that_arrives_too_slowly_is_closed_when_others_wait(
    memory: BodyMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_memory, "PATIENCE_SECONDS", 0.01)
    slow, steady = Connection(), Connection()
    with memory.share() as waiting:
        with memory.share(slow) as first, memory.share(steady) as second:
            await first.take(LARGE // 2)
            await second.take(LARGE // 2)
            work = asyncio.ensure_future(waiting.take(MAX_SMALL_BODY + 1))
            while not slow.reset:
                second.taken += body_memory.SLOW_BYTES  # as if it went on
                await asyncio.sleep(0.001)
            assert not steady.reset
            second.taken = LARGE // 2
        await work


async def test_nobody_waits_for_ever(memory: BodyMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_memory, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(body_memory, "LONGEST_WAIT", 0.02)

    async def read(share: BodyShare) -> None:
        await share.take(MAX_SMALL_BODY + 1)

    with memory.share() as stored, memory.share() as before, memory.share() as waiting:
        await stored.take(LARGE)
        stored.complete()
        await before.take(MAX_SMALL_BODY + 1)  # the first of the incomplete ones
        with pytest.raises(Unavailable, match="Too many large requests"):
            await read(waiting)
