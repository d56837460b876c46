"""Jobs that repeat for as long as the server runs."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

Job = Coroutine[Any, Any, None]

FIRST_PAUSE = 0.25
DOUBLINGS = 5

log = logging.getLogger(__name__)


async def repeat(
    name: str, seconds: float, job: Callable[[], Awaitable[None]], *, at_once: bool = False
) -> None:
    """Run `job` again and again, `seconds` after it ended; sooner after a failure, then ever less often."""
    if not at_once:
        await asyncio.sleep(seconds)
    failures = 0
    while True:
        try:
            await job()
        except Exception:
            failures += 1
            log.warning("background job failed: %s", name, exc_info=True)
            await asyncio.sleep(_pause(failures))
        else:
            failures = 0
            await asyncio.sleep(seconds)


@asynccontextmanager
async def running(*jobs: Job) -> AsyncIterator[None]:
    """Run jobs until the end of the block; they have stopped before anything they use is closed."""
    tasks = [asyncio.get_running_loop().create_task(job) for job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


def _pause(failures: int) -> float:
    """Exponential up to 10 s, with jitter, so that several replicas do not retry in step."""
    pause = FIRST_PAUSE * 2.0 ** min(failures - 1, DOUBLINGS)
    return pause * random.uniform(1.0, 1.25)  # noqa: S311 - not a secret
