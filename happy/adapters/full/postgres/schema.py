"""Migrates a PostgreSQL database to the schema of this version, or reports which one it has."""

import logging
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg

from happy.adapters.full.postgres.dsn import Address, parse
from happy.adapters.full.postgres.errors import OUT_OF_REACH
from happy.adapters.full.postgres.pool import arguments
from happy.adapters.full.postgres.remedies import remedy
from happy.domain.errors import StartupError, Unavailable
from schema.revisions import HEAD, REVISIONS

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

BASE = REVISIONS[0]  # the schema of databases that other servers created
CONNECT_SECONDS = 10.0
VERSION_TABLE = (
    "SELECT count(*) > 0 FROM pg_class WHERE relname = 'alembic_version' AND pg_table_is_visible(oid)"
)
"""Not `to_regclass`: a server session reused by a pooler may have cached that there was no such table."""

VERSION = "SELECT max(version_num) FROM alembic_version"
MIGRATION_LOCK = "SELECT pg_advisory_xact_lock(1751216240)"
"""The lock of schema/migrations/env.py, taken before the revision is read."""

OF_ANOTHER_SERVER = """
SELECT to_regclass('alembic_version') IS NULL AND to_regclass('"Account"') IS NOT NULL
   AND to_regclass('"SessionMessage"') IS NOT NULL
"""
Result = TypeVar("Result")


log = logging.getLogger(__name__)


async def ensure_head(connection: Any, address: Address) -> None:
    """Adopt a database of another server of this protocol; others are not changed.

    Raises StartupError, with the command to run, unless the schema is that of this version then.
    """
    if await connection.fetchval(OF_ANOTHER_SERVER):
        log.info("adopting the database of another server", extra={"database": address.display})
        await _in_transaction(address, lambda ours: _adopt_and_migrate(ours, address))
    await require_head(connection, address)


async def require_head(connection: Any, address: Address) -> None:
    """Raises StartupError, with the command to run, unless the schema is that of this version."""
    revision = None
    if await connection.fetchval(VERSION_TABLE):
        revision = await connection.fetchval(VERSION)
    if revision == HEAD:
        return
    if revision is not None and revision not in REVISIONS:
        raise _too_new(address, revision)
    state = "no schema of this server yet" if revision is None else f"schema {revision}, not {HEAD}"
    raise StartupError(f"the database {address.display} has {state}: run `happy-server migrate`")


async def prepare(url: str) -> None:
    """Create, migrate or adopt the database; nothing is changed when a StartupError is raised.

    Safe to call from several processes at once: a lock serializes them.
    """
    address = parse(url)
    address.warn()
    await _in_transaction(address, lambda connection: _bring_up_to_date(connection, address))


async def verify(url: str) -> None:
    """Raises StartupError unless the database has exactly the schema of this version; changes nothing."""
    from alembic.util import CommandError

    from schema import migrate

    address = parse(url)

    def check(connection: "Connection") -> None:
        try:
            migrate.check(connection)
        except CommandError as error:
            raise StartupError(
                f"the database {address.display} differs from schema {HEAD}: {error}"
            ) from error

    with startup_errors(address):
        connection = await connect(address)
        try:
            await require_head(connection, address)
        finally:
            await connection.close()
    await _in_transaction(address, check)


def _too_new(address: Address, revision: str) -> StartupError:
    return StartupError(
        f"the database {address.display} has schema {revision}, and this version knows none after {HEAD}:"
        " start the newer happy-server that wrote it"
    )


def _bring_up_to_date(connection: "Connection", address: Address) -> None:
    from schema import migrate

    connection.exec_driver_sql(MIGRATION_LOCK)
    revision = _revision(connection)
    if revision is not None and revision not in REVISIONS:
        raise _too_new(address, revision)
    if revision is None:
        _adopt(connection, address)
    if revision != HEAD:
        migrate.upgrade(connection)


def _adopt_and_migrate(connection: "Connection", address: Address) -> None:
    from schema import migrate

    connection.exec_driver_sql(MIGRATION_LOCK)
    if _revision(connection) is None:  # else another replica was faster
        _adopt(connection, address)
        migrate.upgrade(connection)


def _revision(connection: "Connection") -> str | None:
    if not connection.exec_driver_sql(VERSION_TABLE).scalar():
        return None
    found = connection.exec_driver_sql(VERSION).scalar()
    return None if found is None else str(found)


def _adopt(connection: "Connection", address: Address) -> None:
    """Check and stamp a database that has tables of this protocol; an empty one is not changed."""
    from happy.adapters.full.postgres import adoption
    from schema import migrate
    from schema.tables import metadata

    schema = _schema(connection)
    found = adoption.tables(connection, schema)
    if not found.keys() & metadata.tables.keys():
        return
    try:
        adoption.check(found, _expected(connection))
    except adoption.SchemaMismatch as error:
        raise adoption.SchemaMismatch(
            f"the database {address.display} is not one of this protocol ({error}): choose another database"
        ) from None
    adoption.complete(connection, schema)
    migrate.stamp(connection, BASE)


def _schema(connection: "Connection") -> str:
    return str(connection.exec_driver_sql("SELECT quote_ident(current_schema())").scalar())


def _expected(connection: "Connection") -> Any:
    """The tables of the first migration, created as temporary tables, read and rolled back."""
    from happy.adapters.full.postgres import adoption
    from schema import migrate

    reference = connection.begin_nested()
    connection.exec_driver_sql("SET LOCAL search_path = pg_temp")
    migrate.upgrade(connection, BASE)
    expected = adoption.tables(connection, _temporary(connection))
    reference.rollback()
    expected.pop("alembic_version")
    return expected


def _temporary(connection: "Connection") -> str:
    return str(connection.exec_driver_sql("SELECT pg_my_temp_schema()::regnamespace").scalar())


async def _in_transaction(address: Address, action: Callable[["Connection"], Result]) -> Result:
    async with transaction(address) as connection:
        return await connection.run_sync(action)


@asynccontextmanager
async def transaction(address: Address) -> AsyncIterator["AsyncConnection"]:
    """A transaction in which migrations can run; committed on leaving. Raises StartupError."""
    from sqlalchemy import pool
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(
        "postgresql+asyncpg://",
        poolclass=pool.NullPool,
        async_creator=lambda: connect(address),
        # Replicas may share server sessions through a pooler, and prepared statements stay in these.
        connect_args={"prepared_statement_name_func": lambda: f"happy_{secrets.token_hex(8)}"},
    )
    with startup_errors(address):
        try:
            async with engine.begin() as connection:
                yield connection
        finally:
            await engine.dispose()


async def connect(address: Address) -> Any:
    return await asyncpg.connect(
        **arguments(address),
        timeout=max(CONNECT_SECONDS, address.connect_seconds or 0),
        statement_cache_size=0,
        server_settings=address.server_settings,
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
