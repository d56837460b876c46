"""What goes wrong on the way to PostgreSQL, in the words of the core, and how it is left behind soon."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg

from happy.domain.errors import CommitInDoubt, Conflict, Invalid, NotFound, Unavailable

GIVE_UP_SECONDS = 0.5
"""How long the end of what was given up may take, before its connection is given up too."""

CANNOT_WRITE = (asyncpg.ReadOnlySQLTransactionError, asyncpg.DiskFullError)
"""After a fail-over or on a full disk: reading goes on, writing does not."""

OUT_OF_REACH = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # it stops, starts, has dropped the database, or ended an idle session
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.PostgresSystemError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
)

WITHOUT_EFFECT = (
    asyncpg.CannotConnectNowError,
    asyncpg.QueryCanceledError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
)
"""PostgreSQL said that it did not do what it was asked."""

OUT_OF_CONNECTIONS = re.compile(
    r"too many (\w+ )?(clients|connections)|no more connections|remaining connection slots"
    r"|max \w* ?connections reached|max clients reached",
    re.IGNORECASE,
)
"""How poolers say it, under codes of their own: Supabase's XX000, PgBouncer's 08P01."""


def is_out_of_connections(error: BaseException) -> bool:
    """Whether there is no connection left for us, though those that are open still work."""
    if isinstance(error, asyncpg.TooManyConnectionsError):
        return True
    return isinstance(error, asyncpg.PostgresError) and bool(OUT_OF_CONNECTIONS.search(str(error)))


@contextmanager
def map_errors() -> Iterator[None]:
    """Translate errors of the driver into domain errors."""
    try:
        yield
    except asyncpg.ForeignKeyViolationError as error:
        raise NotFound from error
    except asyncpg.IntegrityConstraintViolationError as error:
        raise Conflict from error
    except (asyncpg.DataError, asyncpg.ProgramLimitExceededError) as error:
        # a NUL character, a number out of range, a key that is too long for an index
        raise Invalid from error
    except CANNOT_WRITE as error:
        raise Unavailable("the database takes no writes") from error
    except OUT_OF_REACH as error:
        raise Unavailable("the database did not answer") from error


def in_doubt(error: Unavailable) -> Unavailable:
    """What to raise when a commit was asked for, and this came instead of an answer."""
    if isinstance(error.__cause__, WITHOUT_EFFECT):
        return error
    return CommitInDoubt(str(error))


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
