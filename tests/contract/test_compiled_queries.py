"""Both databases accept every compiled query, with exactly the parameters it names."""

import json
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

import schema

FOLDER = Path(schema.__file__).parent
COMPILED: dict[str, dict[str, dict[str, Any]]] = {
    dialect: json.loads((FOLDER / "compiled" / f"{dialect}.json").read_bytes())
    for dialect in ("postgresql", "sqlite")
}


# Queries are prepared and explained here, none is run: a database each serves all of these tests.


@pytest.fixture(scope="module")
def sqlite() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript((FOLDER / "sqlite.sql").read_text())
        yield db


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def postgres(migrated_postgres: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(migrated_postgres)
    yield connection
    await connection.close()


@pytest.mark.services
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", COMPILED["postgresql"])
async def test_postgres_infers_the_type_of_every_parameter(postgres: asyncpg.Connection, name: str) -> None:
    query = COMPILED["postgresql"][name]
    prepared = await postgres.prepare(query["sql"])

    assert len(query["parameters"]) == len(prepared.get_parameters())


@pytest.mark.services
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", COMPILED["postgresql"])
async def test_postgres_lists_are_arrays(postgres: asyncpg.Connection, name: str) -> None:
    query = COMPILED["postgresql"][name]
    prepared = await postgres.prepare(query["sql"])
    kinds = [kind.kind == "array" for kind in prepared.get_parameters()]

    assert set(query.get("lists", [])) <= {
        name for name, array in zip(query["parameters"], kinds, strict=True) if array
    }


@pytest.mark.parametrize("name", COMPILED["sqlite"])
def test_sqlite_accepts_the_query(sqlite: sqlite3.Connection, name: str) -> None:
    query = COMPILED["sqlite"][name]
    values = {
        parameter: "[]" if parameter in query.get("lists", []) else None for parameter in query["parameters"]
    }

    sqlite.execute("EXPLAIN " + query["sql"], values)


@pytest.mark.parametrize("name", COMPILED["sqlite"])
def test_sqlite_uses_every_parameter(sqlite: sqlite3.Connection, name: str) -> None:
    query = COMPILED["sqlite"][name]
    for missing in query["parameters"]:
        others = {parameter: "[]" for parameter in query["parameters"] if parameter != missing}
        with pytest.raises(sqlite3.ProgrammingError, match="did not supply a value"):
            sqlite.execute("EXPLAIN " + query["sql"], others)


# Once a minute, for the metrics; once an hour, over a table that this very statement bounds.
SWEEPS = {
    "announcements.TAKE",
    "announcements.WAITING",
    "leftovers.EXPIRED",
    "statistics.LARGEST_ACCOUNTS",
    "statistics.MESSAGES_BETWEEN",
    "statistics.ROWS",
    "statistics.TABLES",
    "audit.DROP_SURPLUS",
    "deletions.PICTURES_IN_USE",
    "sealed.COUNTS_GITHUB",
    "sealed.COUNTS_VENDOR",
    "invites.ALL",
    "registrations.ALL",
}
"""Run by themselves, or for whoever runs the server.

Announcements are taken within a second. Invites, registrations and a day's messages are bounded in number.
"""


@pytest.mark.parametrize("name", sorted(COMPILED["sqlite"].keys() - SWEEPS))
def test_no_query_reads_a_whole_table(sqlite: sqlite3.Connection, name: str) -> None:
    query = COMPILED["sqlite"][name]
    plan = sqlite.execute(
        "EXPLAIN QUERY PLAN " + query["sql"], dict.fromkeys(query["parameters"], "[]")
    ).fetchall()

    assert [] == [
        detail for *_, detail in plan if re.match(r"SCAN (?!.* VIRTUAL TABLE|CONSTANT ROW)", detail)
    ]
