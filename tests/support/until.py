"""Waiting for what no event tells: the one loop that looks again and again.

await until(lambda: len(node.frames) == 2)
await until(lambda: is_listed(api, machine), timeout=60)
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")
TIMEOUT = 30.0
"""Seconds after which a test gives up: far more than a busy machine takes."""

PAUSE = 0.02


@overload
async def until(condition: Callable[[], Awaitable[T | None]], timeout: float = ..., what: str = ...) -> T: ...
@overload
async def until(condition: Callable[[], T | None], timeout: float = ..., what: str = ...) -> T: ...
async def until(
    condition: Callable[[], T | None] | Callable[[], Awaitable[T | None]],
    timeout: float = TIMEOUT,
    what: str = "",
) -> T:
    """The first result of `condition` that is true; it may be a coroutine function. Raises TimeoutError."""
    try:
        async with asyncio.timeout(timeout):
            while True:
                result = condition()
                found: T | None = await result if inspect.isawaitable(result) else result
                if found:
                    return found
                await asyncio.sleep(PAUSE)
    except TimeoutError:
        raise TimeoutError(f"not within {timeout} s: {what or condition}") from None
