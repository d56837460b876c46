"""Rows with large values reach PostgreSQL as they are, by whatever way they are inserted."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from happy.adapters.archive.rows import RowFormat, row_formats
from happy.adapters.full.postgres import inserting
from tests.support.databases import new_database

pytestmark = [pytest.mark.services, pytest.mark.slow]

TEXTS = ["plain", "tab\tline\nreturn\rback\\slash \\N \\.", "\N{SNOWMAN} and 'quotes' \"", ""]
FORMATS = {table.name: table for table in row_formats()}
MOMENT = 1_750_000_000_123


@pytest.fixture
async def connection() -> AsyncIterator[Any]:
    async with new_database() as url:
        opened = await asyncpg.connect(url)
        await opened.execute("SET session_replication_role = replica")  # rows that refer to none
        try:
            yield opened
        finally:
            await opened.close()


@pytest.fixture(autouse=True)
def _everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inserting, "LARGE", 0)
    monkeypatch.setattr(inserting, "PIECE", 3)


async def stored(connection: Any, table: RowFormat) -> list[list[Any]]:
    return [list(row) for row in await connection.fetch(table.select("postgresql"))]


@pytest.mark.parametrize("text", TEXTS)
async def test_texts_bytes_times_and_truths_are_the_same_afterwards(connection: Any, text: str) -> None:
    session = dict.fromkeys(FORMATS["Session"].columns) | {
        "id": "s",
        "tag": text,
        "accountId": "a",
        "metadata": text,
        "metadataVersion": 3,
        "agentStateVersion": 0,
        "dataEncryptionKey": b"\0\xff\\x\n",
        "seq": 7,
        "active": True,
        "lastActiveAt": MOMENT,
        "createdAt": 0,
        "updatedAt": -1,
    }
    row = list(session.values())

    await inserting.insert(connection, FORMATS["Session"], [row])

    assert [row] == await stored(connection, FORMATS["Session"])


async def test_a_document_is_the_same_afterwards(connection: Any) -> None:
    table = FORMATS["SessionMessage"]
    document = '{"c": "a \\"quoted\\" line\\n and \\\\ more", "t": "encrypted"}'
    message = {"id": "m", "sessionId": "s", "localId": None, "seq": 1, "content": document}
    row = [{**message, "createdAt": MOMENT, "updatedAt": MOMENT}[name] for name in table.columns]

    await inserting.insert(connection, table, [row])

    assert [row] == await stored(connection, table)


@pytest.mark.parametrize("content", ['{"c": "\\u0000"}', "no document", '{"c": "\ud800"}'])
async def test_what_cannot_be_stored_is_an_error_of_the_data(connection: Any, content: str) -> None:
    table = FORMATS["SessionMessage"]
    message = {"id": "m", "sessionId": "s", "localId": None, "seq": 1, "content": content}
    row = [{**message, "createdAt": MOMENT, "updatedAt": MOMENT}[name] for name in table.columns]

    with pytest.raises(asyncpg.DataError):
        await inserting.insert(connection, table, [row])
    assert [] == await stored(connection, table)
