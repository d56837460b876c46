"""Migrates a PostgreSQL database to the schema of this version, or reports which one it has."""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from happy.adapters.full.postgres import migration
from happy.adapters.full.postgres.connecting import connect, open_alchemy, startup_errors, transaction
from happy.adapters.full.postgres.dsn import Address, parse
from happy.adapters.progress import Lines
from happy.domain.errors import StartupError
from happy.domain.progress import Progress
from schema import compatibility
from schema.revisions import HEAD, REVISIONS

if TYPE_CHECKING:
    from sqlalchemy import Connection

BASE = REVISIONS[0]  # the schema of databases that other servers created
VERSION_TABLE = (
    "SELECT count(*) > 0 FROM pg_class WHERE relname = 'alembic_version' AND pg_table_is_visible(oid)"
)
"""Not `to_regclass`: a server session reused by a pooler may have cached that there was no such table."""

HAS_OLDEST = VERSION_TABLE.replace("alembic_version", compatibility.TABLE)
VERSION = "SELECT max(version_num) FROM alembic_version"
MIGRATION_LOCK = "SELECT pg_advisory_xact_lock(1751216240)"
"""The lock of schema/migrations/env.py, taken before the revision is read."""

OF_ANOTHER_SERVER = """
SELECT to_regclass('alembic_version') IS NULL AND to_regclass('"Account"') IS NOT NULL
   AND to_regclass('"SessionMessage"') IS NOT NULL
"""

ROWS = """
SELECT relname, greatest(reltuples, 0)::bigint FROM pg_class
WHERE relname = ANY($1) AND relkind IN ('r', 'p') AND pg_table_is_visible(oid)
"""
"""Estimates of the last ANALYZE, which PostgreSQL makes by itself: counting takes long."""

log = logging.getLogger(__name__)


async def ensure_usable(connection: Any, address: Address) -> str:
    """Adopt a database of another server of this protocol; others are not changed. Returns the revision.

    Raises StartupError, with the command to run, unless this version may use the database then.
    """
    if await connection.fetchval(OF_ANOTHER_SERVER):
        log.info("adopting the database of another server", extra={"database": address.display})
        await _bring_up_to_date(address, Lines(log.info))
    revision = await require_usable(connection, address)
    if revision != HEAD:
        log.warning(compatibility.WARNING, address.display, revision, HEAD)
    return revision


async def require_head(connection: Any, address: Address) -> None:
    """Raises StartupError, with the command to run, unless the schema is that of this version."""
    revision = await _revision_of(connection)
    if revision == HEAD:
        return
    if revision is not None and revision not in REVISIONS:
        raise _too_new(address, revision)
    state = "no schema of this server yet" if revision is None else f"schema {revision}, not {HEAD}"
    raise StartupError(f"the database {address.display} has {state}: run `happy-server migrate`")


async def require_usable(connection: Any, address: Address) -> str:
    """The revision of the database: this version's, or a later one that lets this version use it.

    Raises StartupError, with the command to run.
    """
    revision = await _revision_of(connection)
    if revision is None or revision in REVISIONS:
        await require_head(connection, address)
        return HEAD
    if not await connection.fetchval(HAS_OLDEST) or not compatibility.usable(
        await connection.fetchval(compatibility.OLDEST)
    ):
        raise _too_new(address, revision)
    return revision


async def prepare(url: str, progress: Progress | None = None) -> str:
    """Create, migrate or adopt the database, while servers use it. Returns the revision, as `ensure_usable`.

    Safe to call from several processes at once: a lock serializes them.
    Raises StartupError; what was completed before is kept.
    """
    address = parse(url)
    address.warn()
    await _bring_up_to_date(address, progress or Lines(log.info))
    with startup_errors(address):
        connection = await connect(address)
        try:
            return await ensure_usable(connection, address)
        finally:
            await connection.close()


async def verify(url: str) -> str:
    """The revision, if the database has the schema of this version and nothing that only a later one may add.

    Raises StartupError; changes nothing.
    """
    from alembic.util import CommandError

    from schema import migrate

    address = parse(url)
    with startup_errors(address):
        connection = await connect(address)
        try:
            revision = await require_usable(connection, address)
        finally:
            await connection.close()
        async with open_alchemy(address) as alchemy:
            try:
                await alchemy.run_sync(migrate.check if revision == HEAD else migrate.check_later)
            except CommandError as error:
                raise StartupError(
                    f"the database {address.display} differs from schema {HEAD}: {error}"
                ) from error
    return revision


async def survey(url: str, tables: Iterable[str]) -> tuple[str | None, dict[str, int]]:
    """The revision, and how many rows those of the tables have that exist, as far as PostgreSQL knows.

    Raises StartupError; changes nothing.
    """
    address = parse(url)
    with startup_errors(address):
        connection = await connect(address)
        try:
            revision = await _revision_of(connection)
            if revision is not None and revision not in REVISIONS:
                await require_usable(connection, address)
            return revision, dict(await connection.fetch(ROWS, list(tables)))
        finally:
            await connection.close()


async def _revision_of(connection: Any) -> str | None:
    found = await connection.fetchval(VERSION) if await connection.fetchval(VERSION_TABLE) else None
    return None if found is None else str(found)


def _too_new(address: Address, revision: str) -> StartupError:
    return StartupError(
        f"the database {address.display} has schema {revision}, and this version knows none after {HEAD}:"
        " start the newer happy-server that wrote it"
    )


async def _bring_up_to_date(address: Address, progress: Progress) -> None:
    with startup_errors(address):
        async with migration.only_migrator(address):
            async with transaction(address) as connection:
                await connection.run_sync(_create_or_adopt, address)
            async with open_alchemy(address) as connection:
                revision = await connection.run_sync(_revision)
            if revision in REVISIONS:
                await migration.upgrade(address, revision, progress)


def _create_or_adopt(connection: "Connection", address: Address) -> None:
    """In one transaction, in which nothing is changed after an error."""
    from schema import migrate

    connection.exec_driver_sql(MIGRATION_LOCK)
    if _revision(connection) is None and not _adopt(connection, address):
        migrate.upgrade(connection)


def _revision(connection: "Connection") -> str | None:
    if not connection.exec_driver_sql(VERSION_TABLE).scalar():
        return None
    found = connection.exec_driver_sql(VERSION).scalar()
    return None if found is None else str(found)


def _adopt(connection: "Connection", address: Address) -> bool:
    """Check and stamp a database that has tables of this protocol; False for one that has none of them."""
    from happy.adapters.full.postgres import adoption
    from schema import migrate
    from schema.tables import metadata

    schema = _schema(connection)
    found = adoption.tables(connection, schema)
    if not found.keys() & metadata.tables.keys():
        return False
    try:
        adoption.check(found, _expected(connection))
    except adoption.SchemaMismatch as error:
        raise adoption.SchemaMismatch(
            f"the database {address.display} is not one of this protocol ({error}): choose another database"
        ) from None
    adoption.complete(connection, schema)
    migrate.stamp(connection, BASE)
    return True


def _schema(connection: "Connection") -> str:
    return str(connection.exec_driver_sql("SELECT quote_ident(current_schema())").scalar())


def _expected(connection: "Connection") -> Any:
    """The tables of the first migration, created as temporary tables, read and rolled back."""
    from happy.adapters.full.postgres import adoption
    from schema import migrate
    from schema.tables import metadata

    reference = connection.begin_nested()
    connection.exec_driver_sql("SET LOCAL search_path = pg_temp")
    migrate.upgrade(connection, BASE)
    expected = adoption.tables(connection, _temporary(connection))
    reference.rollback()
    return {name: table for name, table in expected.items() if name in metadata.tables}


def _temporary(connection: "Connection") -> str:
    return str(connection.exec_driver_sql("SELECT pg_my_temp_schema()::regnamespace").scalar())
