"""Migrates a PostgreSQL database that servers use meanwhile, one revision after the other."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from happy.adapters.full.postgres.connecting import connect, open_alchemy
from happy.adapters.full.postgres.dsn import Address
from happy.domain.errors import StartupError
from happy.domain.progress import Progress, Step
from schema.revisions import HEAD, REVISIONS

TRY_LOCK: Final = "SELECT pg_try_advisory_xact_lock(1751216241)"
LOCK_POLL_SECONDS: Final = 0.2
ATTEMPTS: Final = 40
PAUSE_SECONDS = 2.0
"""Between two attempts. Each waits for the lock of a table for 2 s at most (schema/online.py)."""

IN_THE_WAY: Final = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)

log = logging.getLogger(__name__)


@asynccontextmanager
async def only_migrator(address: Address) -> AsyncIterator[None]:
    """Waits until no other process migrates this database.

    The lock is held by a transaction of its own without a snapshot, because building an index waits for all
    snapshots. For the same reason no statement waits for it: it is tried again and again.
    """
    connection = await connect(address)
    try:
        while not await _locked(connection):  # noqa: ASYNC110 - another process has it
            await asyncio.sleep(LOCK_POLL_SECONDS)
        yield
    finally:
        await connection.close()


async def _locked(connection: Any) -> bool:
    transaction = connection.transaction(isolation="read_committed")
    await transaction.start()
    if await connection.fetchval(TRY_LOCK):
        # Also a statement of the simple protocol, which closes the result before and the snapshot with it.
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        return True
    await transaction.rollback()
    return False


async def upgrade(address: Address, revision: str, progress: Progress) -> None:
    """From that revision to this version's. Raises StartupError; the revisions that were done remain."""
    pending = REVISIONS[REVISIONS.index(revision) + 1 :]
    for done, following in enumerate(pending):
        progress(Step(f"schema {following} of {HEAD}", done, len(pending), "step"))
        await _upgrade_to(address, following)


async def _upgrade_to(address: Address, revision: str) -> None:
    for _ in range(ATTEMPTS):
        try:
            await _attempt(address, revision)
        except Exception as error:
            if not isinstance(_cause(error), IN_THE_WAY):
                raise
            log.warning("schema %s waits for a long query, and tries again in %g s", revision, PAUSE_SECONDS)
            await asyncio.sleep(PAUSE_SECONDS)
        else:
            return
    raise StartupError(
        f"cannot bring {address.display} to schema {revision}: a long query has a table that it changes:"
        " end that query (pg_stat_activity shows it), then run `happy-server migrate` again"
    )


async def _attempt(address: Address, revision: str) -> None:
    from schema import migrate

    async with open_alchemy(address) as connection:
        await connection.run_sync(migrate.upgrade, revision, online=True)


def _cause(error: BaseException) -> BaseException | None:
    """The driver's own error, below those of SQLAlchemy."""
    driver = getattr(error, "orig", None)
    return None if driver is None else driver.__cause__
