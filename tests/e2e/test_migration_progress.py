"""What a terminal shows while a database is migrated that takes longer than a second: how far it is."""

import asyncio
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from happy.adapters.full.postgres.connecting import transaction
from happy.adapters.full.postgres.dsn import parse
from happy.cli.main import run
from happy.settings import DATABASE_NAME
from schema import migrate
from schema.revisions import HEAD, REVISIONS
from tests.e2e.test_command_progress import ACCOUNT, CLEARED, bars
from tests.support.databases import new_database
from tests.support.environments import SECRET, light_environment
from tests.support.services import REDIS
from tests.support.terminal import on_terminal
from tests.support.until import until

pytestmark = pytest.mark.slow

SESSIONS = 300_000
MANY_SESSIONS = f"""{ACCOUNT}
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {SESSIONS})
INSERT INTO "Session" ("id", "tag", "accountId", "metadata", "metadataVersion", "agentStateVersion", "seq",
    "active", "lastActiveAt", "createdAt", "updatedAt")
    SELECT 's' || n, 's' || n, 'a', hex(randomblob(200)), 0, 0, 0, 0, n, n, n FROM numbers;
"""
"""More than a second of work for a migration from the first schema, also on a fast machine."""

LOCKED_SECONDS = 1.5
"""A bar is shown after a second; a migration gives the lock of a table up after two, and tries again."""

WAITING = """
SELECT count(*) > 0 FROM pg_locks JOIN pg_database ON pg_database.oid = database
 WHERE NOT granted AND datname = current_database()
"""


def test_the_migration_of_a_light_database_shows_how_far_it_is(tmp_path: Path) -> None:
    environ = light_environment(tmp_path).variables
    assert 0 == run(["migrate"], environ)
    database = tmp_path / DATABASE_NAME
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(MANY_SESSIONS)
    with migrate.sqlite_connection(database) as old:
        migrate.downgrade(old, REVISIONS[0])

    shown = on_terminal(["migrate"], environ)

    assert 0 == shown.code, shown.text
    assert any(doing.startswith(("schema", "copying the database")) for doing in bars(shown)), shown.text
    assert f"has schema {HEAD} now (it had {REVISIONS[0]})" in shown.text.splitlines()[-2]


@pytest.mark.services
async def test_the_migration_of_a_postgresql_database_shows_how_far_it_is() -> None:
    before = REVISIONS[REVISIONS.index("0014") - 1]
    async with new_database() as url:
        async with transaction(parse(url)) as connection:
            await connection.run_sync(migrate.downgrade, before)
        other = await asyncpg.connect(url)
        try:
            in_the_way = other.transaction()
            await in_the_way.start()
            await other.execute('LOCK TABLE "Session" IN ACCESS SHARE MODE')
            variables = {"DATABASE_URL": url, "REDIS_URL": REDIS, "HANDY_MASTER_SECRET": SECRET}
            showing = asyncio.create_task(asyncio.to_thread(on_terminal, ["migrate"], variables))
            await until(lambda: other.fetchval(WAITING))
            await asyncio.sleep(LOCKED_SECONDS)
            await in_the_way.rollback()
            shown = await showing
        finally:
            await other.close()

    assert 0 == shown.code, shown.text
    steps = len(REVISIONS) - REVISIONS.index("0014")
    assert re.search(rf"schema 0014 of {HEAD}  \[ *\]  0 %  0 of {steps} steps  0:0\d", shown.text), (
        shown.text
    )
    assert f"has schema {HEAD} now (it had {before})" in shown.text.rpartition(CLEARED)[2]
