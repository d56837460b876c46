"""Waiting for something that only the server can say."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(what: str, condition: Callable[[], Awaitable[bool]], *, timeout: float = 30) -> None:
    try:
        async with asyncio.timeout(timeout):
            while not await condition():  # noqa: ASYNC110 - nothing else could tell
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"not within {timeout} s: {what}") from None
