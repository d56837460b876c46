"""A deleted account takes everything along, whatever tables there are; what is somebody else's stays."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from happy.adapters.flavors import open_store_beside
from happy.domain.values import AccountId
from happy.services.account_access import AccountAccess
from schema.tables import accounts, metadata, session_messages, sessions
from tests.http.test_accounts import account_id
from tests.matrix.owner import now
from tests.support.api_client import ApiClient
from tests.support.environments import Environment
from tests.support.rows import Rows, open_rows
from tests.support.server_thread import RunningServer, run_beside
from tests.support.until import until

VALUES = {"Integer": 1, "BigInteger": 1, "Boolean": True, "LargeBinary": b"x", "Millis": 1, "Json": "[1]"}
"""By the type of the column; all others hold text."""


def owners(table: sa.Table) -> list[sa.Column[Any]]:
    """The columns that refer to an account."""
    return [column for column in table.c for key in column.foreign_keys if key.column is accounts.c.id]


OWNED = [table for table in metadata.sorted_tables if owners(table) and table is not accounts]


@pytest.fixture
async def server(environment: Environment) -> AsyncIterator[RunningServer]:
    async with run_beside(environment) as running:
        yield running


def row(table: sa.Table, ids: dict[str, str], other: str) -> dict[str, Any]:
    """A row of this account with something in every column."""
    special: dict[str, dict[str, Any]] = {
        "AccessKey": {"machine_id": ids.get("Machine")},
        "Machine": {"deleted_at": None},
        "UserRelationship": {"to_user_id": other, "status": "friend"},
    }
    values = {column.key: value(column, ids) for column in table.c}
    if table.c.keys()[0] == "id":
        values["id"] = ids[table.name]
    return values | special.get(table.name, {})


def value(column: sa.Column[Any], ids: dict[str, str]) -> Any:
    targets = sorted(key.column.table.name for key in column.foreign_keys)
    if targets:  # of an access key it is the account that the machine belongs to as well
        return ids[targets[0]]
    text = f"{column.table.name} of {ids['Account']}: {column.key}"
    return VALUES.get(type(column.type).__name__, text)


async def fill(rows: Rows, mine: str, other: str) -> dict[str, str]:
    ids = {"Account": mine, session_messages.name: f"message of {mine}"}
    for table in OWNED:
        ids[table.name] = f"{table.name} of {mine}"
        await rows(sa.insert(table).values(row(table, ids, other)))
    await rows(sa.insert(session_messages).values(row(session_messages, ids, other)))
    return ids


async def count(rows: Rows, table: sa.Table, *conditions: Any) -> int:
    ((number,),) = await rows(sa.select(sa.func.count()).select_from(table).where(sa.or_(*conditions)))
    return int(number)


async def test_a_deleted_account_leaves_no_row_and_no_file(server: RunningServer) -> None:
    async with (
        ApiClient.signed_in(server.url) as api,
        ApiClient.signed_in(server.url) as friend,
        open_rows(server.settings) as rows,
        open_store_beside(server.settings) as store,
    ):
        mine, theirs = account_id(api), account_id(friend)
        ids, kept = await fill(rows, mine, theirs), await fill(rows, theirs, mine)
        files = [
            folder / "file"
            for owner, session in ((mine, ids["Session"]), (theirs, kept["Session"]))
            for folder in (
                server.files / "public" / "users" / owner / "avatars",
                server.files / "sessions" / session / "attachments",
            )
        ]
        await asyncio.to_thread(write, files)
        assert [] == [table.name for table in OWNED if not await count(rows, table, owners(table)[0] == mine)]

        await AccountAccess(store, now).delete(AccountId(mine))

        async def gone() -> bool:
            left = await count(rows, accounts, accounts.c.id == mine)
            return not left and not await count(rows, sessions, sessions.c.id == ids["Session"])

        await until(gone, timeout=120)
        left = {
            table.name: await count(rows, table, *(owner == mine for owner in owners(table)))
            for table in OWNED
        }
        assert dict.fromkeys(left, 0) == left
        assert 0 == await count(rows, session_messages, session_messages.c.session_id == ids["Session"])
        stays = {
            table.name: await count(rows, table, owners(table)[0] == theirs)
            for table in OWNED
            if table.name != "UserRelationship"
        }
        assert dict.fromkeys(stays, 1) == stays
        await until(lambda: [False, False, True, True] == [file.exists() for file in files])
        assert [] == (await friend.get("/v1/friends"))["friends"]


def write(files: list[Path]) -> None:
    for file in files:
        file.parent.mkdir(parents=True)
        file.write_bytes(b"x")
