"""Long changes, split into short transactions so that other writers are not blocked."""

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter

from happy.domain.ports.store import Store, Transaction
from happy.limits import limit

FIRST_ROWS = 1
MAX_ROWS = limit(
    256,
    "rows that one transaction of a background job changes",
    per="transaction",
    then="the next transaction takes the others",
)
STEP_SHARE = 0.25
"""Below this share of the transaction's time a step doubles the rows of the next one."""

PAUSE_SECONDS = 0.01

Step = Callable[[Transaction, int], Awaitable[int]]
"""Changes up to so many rows and returns how many there were: with 0 the change is complete."""


async def in_batches(store: Store, step: Step) -> None:
    """Repeat `step` until nothing is left to do, with pauses for other writers."""
    while True:
        began = perf_counter()
        if await store.write(lambda tx: batch(tx, step, store.batch_seconds)):
            return
        await pause(perf_counter() - began)


async def batch(tx: Transaction, step: Step, seconds: float) -> bool:
    """Repeat `step` for about `seconds`; True when nothing is left to do.

    Rows may be of any size, so steps begin with few rows and double while they are quick.
    """
    rows = FIRST_ROWS
    began = now = perf_counter()
    while now - began < seconds:
        if await step(tx, rows) == 0:
            return True
        before, now = now, perf_counter()
        rows = min(rows * 2, MAX_ROWS) if now - before < STEP_SHARE * seconds else max(rows // 2, 1)
    return False


async def pause(taken: float) -> None:
    """Pause for as long as the batch took: other writers have half of the time, however slow the disk."""
    await asyncio.sleep(max(taken, PAUSE_SECONDS))
