"""What grows with what is stored: a large database beside a small one, and a writer beside long work."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress

import sqlalchemy as sa

from schema.tables import sessions
from tests.bench.clients import Clients
from tests.bench.figures import RATIO, Aim, Figure, percentile
from tests.bench.http_scenarios import CONTENT
from tests.bench.server import Run
from tests.bench.stored import DAY, NOW, Amount, Stored, stored

TURNS = 100
UNDISTURBED = 0.1
"""The share of times in which other programs had no part, even on a busy machine; ratios are of these."""

SMALL = 2_000
MOST_RATIO = 1.5
MOST_WAIT_MS = 100
MOST_MEMORY_MB = 120
PAUSE_SECONDS = 0.01
"""Between two messages of the writer: it is a person's agent, not a load."""

LISTS, ROUNDS_OF_LISTS = 20, 5
Operation = Callable[[Stored], Awaitable[object]]


async def growth(run: Run) -> list[Figure]:
    async with AsyncExitStack() as stack:
        small = await stack.enter_async_context(stored(run, Amount.of(SMALL)))
        large = await stack.enter_async_context(stored(run, Amount.of(run.messages)))
        figures = [await _compare(name, operation, small, large) for name, operation in _operations()]
        figures += await _beside(run, large)
        memory = large.server.resident_kb() / 1024
        aim = Aim(MOST_MEMORY_MB, at_least=False)
        return [*figures, Figure(name="growth: memory at the end", value=memory, unit="MB", aim=aim)]


# -- ratios ------------------------------------------------------------------------------------------------


def _operations() -> Iterator[tuple[str, Operation]]:
    day = {"startTime": (NOW - DAY) // 1000, "endTime": NOW // 1000}
    yield "append", lambda at: at.api.post_messages("session-7", [CONTENT])
    yield "append to a long session", lambda at: at.api.post_messages("long-1", [CONTENT])
    yield "page of a long session", lambda at: _page(at, "long-1", at.amount.long // 2, 100)
    yield "list of sessions", lambda at: at.api.get("/v1/sessions")
    yield "first page of /v2/sessions", lambda at: at.api.get("/v2/sessions", limit=50)
    yield "later page of /v2/sessions", _later_page
    yield "usage of a day", lambda at: at.api.post("/v1/usage/query", day)
    yield "connecting", _connect


async def _page(at: Stored, session_id: str, after: int, limit: int) -> int:
    answer = await at.api.get(f"/v3/sessions/{session_id}/messages", after_seq=after, limit=limit)
    return len(answer["messages"])


async def _later_page(at: Stored) -> None:
    cursor = f"cursor_v1_session-{at.amount.sessions // 2}"
    await at.api.get("/v2/sessions", limit=50, cursor=cursor)


async def _connect(at: Stored) -> None:
    clients = Clients(at.server.port, at.token)
    await clients.user()
    clients.close()


async def _compare(name: str, operation: Operation, small: Stored, large: Stored) -> Figure:
    """In turns, so that other programs on this machine disturb both alike."""
    times: dict[int, list[float]] = {id(small): [], id(large): []}
    for at in itertools.chain.from_iterable([(small, large, large, small)] * (TURNS // 2)):
        began = time.perf_counter()
        await operation(at)
        times[id(at)].append(time.perf_counter() - began)
    of_small, of_large = sorted(times[id(small)]), sorted(times[id(large)])
    return Figure(
        name=f"growth: {name}, large over small",
        value=percentile(of_large, UNDISTURBED) / percentile(of_small, UNDISTURBED),
        unit=RATIO,
        p50=percentile(of_large, 0.5) * 1000,
        p99=percentile(of_large, 0.99) * 1000,
        aim=Aim(MOST_RATIO, at_least=False),
    )


# -- a writer, and what goes on beside it ------------------------------------------------------------------


async def _beside(run: Run, at: Stored) -> list[Figure]:
    """Values are the longest that the writer waited, at rest and then beside each kind of long work."""
    rest = await _writer(f"at rest for {run.rest:g} s", at, lambda _: asyncio.sleep(run.rest))
    aim = Aim(rest.value + MOST_WAIT_MS, at_least=False)
    work: list[tuple[str, Operation]] = [
        (f"beside a catch-up of {at.amount.long:,}", _catch_up),
        (f"beside {LISTS} lists of sessions", _lists),
        (f"beside a deletion of {at.amount.long:,}", _delete),
    ]
    return [rest, *[await _writer(name, at, each, aim) for name, each in work]]


async def _writer(name: str, at: Stored, work: Operation, aim: Aim | None = None) -> Figure:
    waits: list[float] = []
    writing = asyncio.create_task(_write(at, waits))
    await work(at)
    writing.cancel()
    with suppress(asyncio.CancelledError):
        await writing
    waits.sort()
    return Figure(
        name=f"growth: a writer {name}",
        value=waits[-1] * 1000,
        unit="ms worst",
        p50=percentile(waits, 0.5) * 1000,
        p99=percentile(waits, 0.99) * 1000,
        aim=aim,
    )


async def _write(at: Stored, waits: list[float]) -> None:
    while True:
        began = time.perf_counter()
        await at.api.post_messages("session-3", [CONTENT])
        waits.append(time.perf_counter() - began)
        await asyncio.sleep(PAUSE_SECONDS)


async def _catch_up(at: Stored) -> None:
    seq = 0
    while found := await _page(at, "long-1", seq, 500):
        seq += found


async def _lists(at: Stored) -> None:
    for _ in range(ROUNDS_OF_LISTS):
        await asyncio.gather(*(at.api.get("/v1/sessions") for _ in range(LISTS)))


async def _delete(at: Stored) -> None:
    await at.api.delete("/v1/sessions/long-2")
    while await at.rows(sa.select(sessions.c.id).where(sessions.c.id == "long-2")):  # noqa: ASYNC110
        await asyncio.sleep(0.1)
