"""Rows of a PostgreSQL snapshot come in batches that stay small when large rows follow small ones."""

import asyncpg
import pytest

from happy.adapters.archive.rows import row_formats
from happy.adapters.full.postgres.backup import FETCH_BYTES, open_rows
from tests.support.databases import new_database

pytestmark = pytest.mark.services

SMALL, LARGE, LARGE_BYTES = 1_200, 12, 1_000_000
FILL = f"""
INSERT INTO "Account" (id, "publicKey", "updatedAt") VALUES ('a', 'K', now());
INSERT INTO "Session" (id, tag, "accountId", metadata, "updatedAt") VALUES ('s', 't', 'a', '', now());
ALTER TABLE "SessionMessage" ALTER COLUMN content SET STORAGE EXTERNAL;
INSERT INTO "SessionMessage" (id, "sessionId", seq, content, "updatedAt")
SELECT 'm' || n, 's', n,
    jsonb_build_object('c', repeat('x', CASE WHEN n <= {SMALL} THEN 10 ELSE {LARGE_BYTES} END)),
    now() FROM generate_series(1, {SMALL + LARGE}) n
"""


async def test_batches_hold_many_small_rows_or_one_large_one_and_each_row_once() -> None:
    table = next(table for table in row_formats() if table.name == "SessionMessage")
    content, number = table.columns.index("content"), table.columns.index("seq")
    async with new_database() as url:
        connection = await asyncpg.connect(url)
        await connection.execute(FILL)
        await connection.close()
        async with open_rows(url) as snapshot:
            batches = [batch async for batch in snapshot.rows(table)]

    sizes = [sum(len(row[content]) for row in batch) for batch in batches]
    assert max(sizes) < FETCH_BYTES + LARGE_BYTES
    assert len(batches) < SMALL // 100 + LARGE
    numbers = sorted(row[number] for batch in batches for row in batch)
    assert list(range(1, SMALL + LARGE + 1)) == numbers
