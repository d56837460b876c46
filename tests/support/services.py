"""PostgreSQL and Redis for the tests marked `services`, and what becomes of a test that lacks something."""

import asyncio
import os
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, NoReturn, TypeVar

import asyncpg
import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

POSTGRES = os.environ.get("HAPPY_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("HAPPY_TEST_REDIS", "redis://127.0.0.1:6379")
ANSWER_SECONDS = 5
T = TypeVar("T")


def missing(what: str) -> NoReturn:
    """The running test lacks something: it is skipped, and fails in CI, where nothing may be left out."""
    if os.environ.get("CI") == "true":
        pytest.fail(what, pytrace=False)
    pytest.skip(f"SKIPPED, NOT PROVEN: {what}")


def result_of(work: Coroutine[Any, Any, T]) -> T:
    """For fixtures that are no coroutines, whether or not a loop runs already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@cache
def problem() -> str | None:
    """What keeps the tests marked `services` from running; asked once."""
    return result_of(_problem())


async def _problem() -> str | None:
    try:
        connection = await asyncpg.connect(POSTGRES, timeout=ANSWER_SECONDS)
        await connection.close()
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        return f"no PostgreSQL at {POSTGRES} (HAPPY_TEST_POSTGRES): {error}"
    redis = Redis.from_url(REDIS, socket_connect_timeout=ANSWER_SECONDS)
    try:
        await redis.ping()
    except (OSError, RedisError) as error:
        return f"no Redis at {REDIS} (HAPPY_TEST_REDIS): {error}"
    finally:
        await redis.aclose()
    return None
