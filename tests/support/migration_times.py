"""Measure every migration on tables with many rows: `python -m tests.support.migration_times [ROWS]`.

Prints seconds per million rows in each of its tables, for the `effect` of the migration.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from schema import migrate
from schema.effects import MILLION, known
from schema.revisions import REVISIONS
from tests.support.databases import create, drop

ROWS = 200_000
TIMES = {"createdAt": "{now}", "updatedAt": "{now}"}
OWNED = {"accountId": "'a'||i % 1000", "metadata": "'m'", "active": "i % 2 = 0", "lastActiveAt": "{now}"}
COLUMNS = {
    "Account": {"id": "'a'||i", "publicKey": "'k'||i", "username": "'user'||i", **TIMES},
    "Session": {"id": "'s'||i", "tag": "'tag'||i", **OWNED, **TIMES},
    "Machine": {"id": "'m'||i", **OWNED, **TIMES},
    "UsageReport": {"id": "'r'||i", "accountId": "'a'||i % 1000", "key": "'k'||i", "data": "'{{}}'", **TIMES},
    "UserKVStore": {
        "id": "'e'||i",
        "accountId": "'a'||i % 1000",
        "key": "'k'||i",
        "value": "{blob}",
        **TIMES,
    },
    "RepeatKey": {"key": "'r'||i", "value": "''", "expiresAt": "{now}", "createdAt": "{now}"},
    "UploadedFile": {
        "id": "'u'||i",
        "accountId": "'a'||i % 1000",
        "path": "'p'||i",
        "reuseKey": "'x'||i",
        **TIMES,
    },
    "AccountPushToken": {"id": "'t'||i", "accountId": "'a'||i % 1000", "token": "'token'||i", **TIMES},
    "TerminalAuthRequest": {"id": "'q'||i", "publicKey": "'k'||i", "response": "'answered'", **TIMES},
    "AccountAuthRequest": {"id": "'q'||i", "publicKey": "'k'||i", **TIMES},
    "ServiceAccountToken": {
        "id": "'t'||i",
        "accountId": "'a'||i",
        "vendor": "'v'",
        "token": "{blob}",
        "lastUsedAt": "{now}",
        **TIMES,
    },
    "GithubUser": {"id": "'g'||i", "profile": "'{{}}'", **TIMES},
}
SPELLINGS = {
    "postgresql": {"now": "TIMESTAMP 'epoch' + i * INTERVAL '1 second'", "blob": r"'\x00'::bytea"},
    "sqlite": {"now": "1799999000000 + i", "blob": "x'00'"},
}


def fill(connection: sa.Connection, rows: int) -> None:
    dialect = connection.dialect.name
    if dialect == "postgresql":
        connection.exec_driver_sql("SET session_replication_role = replica")
    for table, columns in COLUMNS.items():
        names = ", ".join(f'"{name}"' for name in columns)
        values = ", ".join(columns.values()).format(**SPELLINGS[dialect])
        numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
        connection.exec_driver_sql(f'INSERT INTO "{table}" ({names}) {numbers} SELECT {values} FROM n')


def in_sqlite(rows: int) -> Iterator[tuple[str, float]]:
    """All in one transaction, as a light database is migrated."""
    with tempfile.TemporaryDirectory() as folder:
        with migrate.sqlite_connection(Path(folder) / "old.sqlite") as connection:
            migrate.upgrade(connection, REVISIONS[0])
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            fill(connection, rows)
        with migrate.sqlite_connection(Path(folder) / "old.sqlite") as connection:
            for revision in REVISIONS[1:]:
                started = time.perf_counter()
                migrate.upgrade(connection, revision)
                yield revision, time.perf_counter() - started


async def in_postgresql(rows: int) -> list[tuple[str, float]]:
    """Each by itself, as a database is migrated that servers use."""
    url, found = await create(), []
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"), poolclass=sa.NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(migrate.upgrade, REVISIONS[0])
        await connection.run_sync(fill, rows)
    for revision in REVISIONS[1:]:
        async with engine.connect() as connection:
            started = time.perf_counter()
            await connection.run_sync(migrate.upgrade, revision, online=True)
            found.append((revision, time.perf_counter() - started))
    await engine.dispose()
    await drop(url)
    return found


def main(rows: int) -> None:
    """What a migration takes without rows is measured too, and not counted."""
    figures: dict[str, list[str]] = {revision: [] for revision in REVISIONS}
    for measured in (
        (dict(asyncio.run(in_postgresql(size))) for size in (rows, 1)),
        (dict(in_sqlite(size)) for size in (rows, 1)),
    ):
        full, empty = measured
        for revision, seconds in full.items():
            figures[revision].append(f"{max(0.0, seconds - empty[revision]) * MILLION / rows:6.1f} s")
    for revision, effect in known(migrate.scripts()).items():
        print(revision, *figures[revision], effect.does)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else ROWS)
