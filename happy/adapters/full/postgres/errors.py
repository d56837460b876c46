"""Translates errors of PostgreSQL and its driver into domain errors, and bounds the time of a rollback."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg

from happy.domain.errors import CommitInDoubt, Conflict, Invalid, NotFound, Unavailable

ROLLBACK_SECONDS = 0.5
"""Timeout of a rollback and of the release of a connection; after it the connection is closed."""

CANNOT_WRITE = (asyncpg.ReadOnlySQLTransactionError, asyncpg.DiskFullError)
"""After a failover or on a full disk: reads work, writes do not."""

OUT_OF_REACH = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutdown, start, dropped database, idle session timeout
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
"""Errors after which it is certain that nothing was committed."""

OUT_OF_CONNECTIONS = re.compile(
    r"too many (\w+ )?(clients|connections)|no more connections|remaining connection slots"
    r"|max \w* ?connections reached|max clients reached",
    re.IGNORECASE,
)
"""The messages of poolers, which use codes of their own: XX000 (Supabase), 08P01 (PgBouncer)."""


def is_out_of_connections(error: BaseException) -> bool:
    """Whether the server or pooler refuses new connections, while open ones still work."""
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
    """The error to raise when a commit failed with `error`: CommitInDoubt unless nothing was committed."""
    if isinstance(error.__cause__, WITHOUT_EFFECT):
        return error
    return CommitInDoubt(str(error))


@asynccontextmanager
async def transaction(connection: Any) -> AsyncIterator[None]:
    """A transaction whose rollback has a timeout, after which the connection is closed."""
    running = connection.transaction()
    await running.start()
    try:
        yield
    except BaseException:
        try:
            async with asyncio.timeout(ROLLBACK_SECONDS):
                await running.rollback()
        except (*OUT_OF_REACH, asyncpg.PostgresError):
            connection.terminate()
        raise
    await running.commit()
