"""Changes of any length, in transactions so short that other writers hardly notice them."""

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter

from happy.domain.ports.store import Store, Transaction

FIRST_ROWS = 1
MAX_ROWS = 256
STEP_SHARE = 0.25
"""A step that takes less of its transaction's time lets the next one take more rows."""

PAUSE_SECONDS = 0.01

Step = Callable[[Transaction, int], Awaitable[int]]
"""Changes up to so many rows and returns how many there were: with 0 the change is complete."""


async def in_batches(store: Store, step: Step) -> None:
    """Repeat `step` until nothing is left to do, with pauses for those who wait to write."""
    while True:
        began = perf_counter()
        if await store.write(lambda tx: batch(tx, step, store.batch_seconds)):
            return
        await pause(perf_counter() - began)


async def batch(tx: Transaction, step: Step, seconds: float) -> bool:
    """As much as fits in a transaction of so many seconds; whether nothing is left to do.

    Rows may be of any size, so they are taken a few at a time, and more while that is quick.
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
    """At least as long as the batch has taken: others have half of the time, however slow the disk is."""
    await asyncio.sleep(max(taken, PAUSE_SECONDS))
