"""What operators are told of the database as a whole."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

import schema
from happy.adapters.sql.statistics import ROWS
from happy.domain.ports.repositories.statistics import RowCounts
from happy.domain.ports.store import Store
from tests.support import factories


async def test_f13_rows_counted_as_none_until_the_database_had_looked_at_them(store: Store) -> None:
    owner = await factories.account(store)
    await factories.session(store, owner)
    await factories.machine(store, owner)

    assert RowCounts(accounts=1, sessions=1, messages=0, machines=1) == await store.read(
        lambda tx: tx.statistics.rows()
    )


# -- what counting costs -----------------------------------------------------------------------------------

COUNT_UP = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
FILL = f"""{COUNT_UP} INSERT INTO "Account" (id, "publicKey", "createdAt", "updatedAt")
SELECT 'account ' || i, 'key ' || i, 0, 0 FROM n"""


def counted_on_sqlite(count: int, *, without: str = "0") -> tuple[int, int]:
    """The count of accounts of a new database, and how many instructions SQLite needed for it."""
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript((Path(schema.__file__).parent / "sqlite.sql").read_text())
        db.execute(FILL.format(count=count))
        db.execute(f'DELETE FROM "Account" WHERE {without}')
        db.set_progress_handler(step, 1)
        (accounts, *_) = db.execute(ROWS.compiled("sqlite").sql).fetchone()
    return accounts, steps


def test_counting_rows_for_metrics_read_whole_tables_on_sqlite() -> None:
    few, cost_of_few = counted_on_sqlite(20_000)
    many, cost_of_many = counted_on_sqlite(200_000)

    assert (20_000, 200_000) == (few, many)
    assert cost_of_many < 1.1 * cost_of_few


@pytest.mark.parametrize(
    ("without", "left"),
    [("rowid % 4 = 0", 75_000), ("rowid BETWEEN 20001 AND 60000", 60_000), ("rowid <= 50000", 50_000)],
)
def test_rows_are_estimated_where_many_were_deleted(without: str, left: int) -> None:
    counted, _ = counted_on_sqlite(100_000, without=without)

    assert abs(counted - left) < 0.05 * 100_000


@pytest.mark.parametrize(
    ("without", "left"), [("rowid > 10000", 10_000), ("1", 0), ("rowid % 50 > 0", 2_000)]
)
def test_few_rows_are_counted_exactly_however_many_there_were(without: str, left: int) -> None:
    counted, _ = counted_on_sqlite(100_000, without=without)

    assert left == counted


@pytest.mark.services
async def test_counting_rows_for_metrics_read_whole_tables_on_postgres(postgres: asyncpg.Connection) -> None:
    await postgres.execute(
        'INSERT INTO "Account" (id, "publicKey", "createdAt", "updatedAt")'
        " SELECT 'account ' || i, 'key ' || i, now(), now() FROM generate_series(1, 30000) i"
    )
    unknown = await postgres.fetchval(ROWS.compiled("postgresql").sql)
    await postgres.execute('ANALYZE "Account"')
    plan = await postgres.fetch("EXPLAIN (ANALYZE, TIMING OFF) " + ROWS.compiled("postgresql").sql)

    assert 10_000 <= unknown
    known = await postgres.fetchval(ROWS.compiled("postgresql").sql)
    assert abs(known - 30_000) < 3_000  # among what other tests have left there it is a sample
    read = [int(rows) for (line,) in plan for rows in re.findall(r"actual rows=(\d+)", line)]
    assert max(read) <= 10_001
