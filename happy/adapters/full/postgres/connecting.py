"""Connections apart from the pool, for the schema and for backups; their errors become one line."""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from happy.adapters.full.postgres.dsn import Address
from happy.adapters.full.postgres.errors import OUT_OF_REACH
from happy.adapters.full.postgres.pool import arguments
from happy.adapters.full.postgres.remedies import remedy
from happy.domain.errors import StartupError, Unavailable

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

CONNECT_SECONDS = 10.0


@asynccontextmanager
async def open_alchemy(address: Address) -> AsyncIterator["AsyncConnection"]:
    """A connection for Alembic, without a transaction."""
    from sqlalchemy import pool
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(
        "postgresql+asyncpg://",
        poolclass=pool.NullPool,
        async_creator=lambda: connect(address, for_migrations=True),
        # Replicas may share server sessions through a pooler, and prepared statements remain in these.
        connect_args={"prepared_statement_name_func": lambda: f"happy_{secrets.token_hex(8)}"},
    )
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


@asynccontextmanager
async def transaction(address: Address) -> AsyncIterator["AsyncConnection"]:
    """A transaction in which migrations can run; committed on leaving. Raises StartupError."""
    with startup_errors(address):
        async with open_alchemy(address) as connection, connection.begin():
            yield connection


async def connect(address: Address, *, for_migrations: bool = False) -> Any:
    """A limit for statements, as some providers set one for a role, is not meant for those of migrations."""
    unlimited = {"statement_timeout": "0"} if for_migrations and not address.behind_pooler else {}
    return await asyncpg.connect(
        **arguments(address),
        timeout=max(CONNECT_SECONDS, address.connect_seconds or 0),
        statement_cache_size=0,
        server_settings={**unlimited, **address.server_settings},
    )


@contextmanager
def startup_errors(address: Address) -> Iterator[None]:
    """Turn any error into a StartupError of one line, with the address and a remedy."""
    try:
        yield
    except StartupError:
        raise
    except (*OUT_OF_REACH, asyncpg.PostgresError, Unavailable) as error:
        raise StartupError(_explanation(error.__cause__ or error, address)) from error
    except Exception as error:
        driver = getattr(error, "orig", None)
        if driver is None:
            raise
        raise StartupError(_explanation(driver.__cause__ or driver, address)) from error


def _explanation(error: BaseException, address: Address) -> str:
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return (
            f"no right to change the database {address.display} ({error}):"
            " run `happy-server migrate` once, with the user that owns the tables in DATABASE_URL"
        )
    reason = str(error) or "no answer"
    return f"cannot use the database {address.display}: {reason}{remedy(error)}"
