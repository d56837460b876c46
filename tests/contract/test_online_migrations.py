"""PostgreSQL is migrated while servers use it: nobody waits for an index, and only a moment for a lock."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from happy.adapters.full.postgres import migration, schema
from happy.domain.errors import StartupError
from schema import migrate, online
from schema.revisions import HEAD, REVISIONS
from tests.contract.test_schema import in_postgres
from tests.support.until import until

pytestmark = [pytest.mark.slow, pytest.mark.services]
NewDatabase = Callable[[], Awaitable[str]]
INDEX = "happy_Session_active_lastActiveAt_idx"
VALID = "SELECT indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE relname = $1"
EXISTS = "SELECT count(*) FROM pg_class WHERE relname = $1"
ACTIVE = "SELECT max(pid) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'"
BUILDER = f"{ACTIVE} AND query LIKE 'CREATE INDEX CONC%'"
WAITING = f"{ACTIVE} AND (query LIKE 'DROP INDEX CONC%' OR query LIKE 'SELECT pg_sleep%')"
PREPARE = (
    "import asyncio, sys; from happy.adapters.full.postgres.schema import prepare\n"
    "asyncio.run(prepare(sys.argv[1]))"
)


@pytest.fixture
async def old(new_postgres: NewDatabase) -> str:
    """A database at the first revision."""
    url = await new_postgres()
    await in_postgres(url, lambda connection: migrate.upgrade(connection, REVISIONS[0]))
    return url


@asynccontextmanager
async def connected(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """What is executed meanwhile, without spaces that do not count."""
    found: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        found.append(" ".join(statement.split()))

    sa.event.listen(Engine, "before_cursor_execute", note)
    yield found
    sa.event.remove(Engine, "before_cursor_execute", note)


HARMLESS = [
    r"SELECT .*|SHOW .*|SET LOCAL .*|SAVEPOINT .*|RELEASE .*",
    r"(INSERT INTO|UPDATE|DELETE FROM) (alembic_version|\"happy_SchemaCompatibility\").*",
    r"CREATE TABLE .*",
    r"CREATE INDEX CONCURRENTLY IF NOT EXISTS .*",
    r"ALTER TABLE \S+ ADD COLUMN IF NOT EXISTS (?!.*(NOT NULL|DEFAULT|REFERENCES|UNIQUE)).*",
]
ON_NEW_TABLES = re.compile(r"CREATE (?:UNIQUE )?INDEX \S+ ON (\S+) .*")


async def test_no_migration_blocks_those_who_use_the_tables(old: str, statements: list[str]) -> None:
    """The rule for every migration, those to come too: expand first, and remove nothing that is in use."""
    await schema.prepare(old)
    new = {found[1] for line in statements if (found := re.match(r"CREATE TABLE (\S+)", line))}
    rest = [line for line in statements if not any(re.fullmatch(form, line) for form in HARMLESS)]

    assert any("CONCURRENTLY" in line for line in statements)
    assert [] == [line for line in rest if (on := ON_NEW_TABLES.fullmatch(line)) is None or on[1] not in new]


async def test_a_long_query_delays_a_migration_and_the_migration_delays_nobody(
    old: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(online, "LOCK_TIMEOUT", "SET LOCAL lock_timeout = '300ms'")
    monkeypatch.setattr(migration, "PAUSE_SECONDS", 0.3)
    async with connected(old) as reporting, connected(old) as client:
        transaction = reporting.transaction()
        await transaction.start()
        await reporting.execute('SELECT * FROM "Session"')
        migrating = asyncio.create_task(schema.prepare(old))
        await until(lambda: "waits for a long query" in caplog.text, timeout=30)
        async with asyncio.timeout(10):
            for _ in range(20):
                await client.fetch('SELECT * FROM "Session"')
                await asyncio.sleep(0.05)
        assert not migrating.done()
        await transaction.rollback()

        assert HEAD == await migrating


async def test_a_query_that_never_ends_is_named_in_one_line(
    old: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online, "LOCK_TIMEOUT", "SET LOCAL lock_timeout = '100ms'")
    monkeypatch.setattr(migration, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(migration, "ATTEMPTS", 3)
    async with connected(old) as reporting, reporting.transaction():
        await reporting.execute('SELECT * FROM "Session"')
        with pytest.raises(StartupError, match="long query") as caught:
            await schema.prepare(old)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("server_goes_on", [False, True])
async def test_an_index_whose_build_was_killed_is_built_again(old: str, *, server_goes_on: bool) -> None:
    """Without its process, PostgreSQL goes on building; without its server session, a broken index stays."""
    async with connected(old) as reporting, connected(old) as watching:
        transaction = reporting.transaction(isolation="repeatable_read")
        await transaction.start()
        await reporting.fetch('SELECT * FROM "Session"')
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", PREPARE, old)
        try:
            await until(lambda: watching.fetchval(BUILDER))
            await until(lambda: watching.fetchval(EXISTS, INDEX))
        finally:
            process.kill()
            await process.wait()
        if not server_goes_on:
            await watching.execute("SELECT pg_terminate_backend($1)", await watching.fetchval(BUILDER))
        assert await watching.fetchval(VALID, INDEX) is False
        again = asyncio.create_task(schema.prepare(old))
        await until(lambda: watching.fetchval(WAITING))
        await transaction.rollback()

        assert HEAD == await asyncio.wait_for(again, 60)
        assert await watching.fetchval(VALID, INDEX) is True
        await schema.verify(old)
