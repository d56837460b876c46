"""What goes wrong on the way to PostgreSQL, in the words of the core, and how it is left behind soon."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg

from happy.domain.errors import Conflict, Invalid, NotFound, Unavailable, Uncertain

GIVE_UP_SECONDS = 0.5
"""How long the end of what was given up may take, before its connection is given up too."""

OUT_OF_REACH = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.QueryCanceledError,
    asyncpg.InsufficientResourcesError,
)

WITHOUT_EFFECT = (
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.QueryCanceledError,
    asyncpg.InsufficientResourcesError,
)
"""PostgreSQL said that it did not do what it was asked."""


@contextmanager
def map_errors() -> Iterator[None]:
    """Driver errors in the words of the core."""
    try:
        yield
    except asyncpg.ForeignKeyViolationError as error:
        raise NotFound from error
    except asyncpg.IntegrityConstraintViolationError as error:
        raise Conflict from error
    except (asyncpg.DataError, asyncpg.ProgramLimitExceededError) as error:
        # a NUL character, a number out of range, a key that is too long for an index
        raise Invalid from error
    except OUT_OF_REACH as error:
        raise Unavailable("the database did not answer") from error


def in_doubt(error: Unavailable) -> Unavailable:
    """What to raise when a commit was asked for, and this came instead of an answer."""
    if isinstance(error.__cause__, WITHOUT_EFFECT):
        return error
    return Uncertain(str(error))


@asynccontextmanager
async def transaction(connection: Any) -> AsyncIterator[None]:
    """The driver's, but where nothing is heard any more, it does not wait for the end of what failed."""
    running = connection.transaction()
    await running.start()
    try:
        yield
    except BaseException:
        try:
            async with asyncio.timeout(GIVE_UP_SECONDS):
                await running.rollback()
        except (*OUT_OF_REACH, asyncpg.PostgresError):
            connection.terminate()
        raise
    await running.commit()
