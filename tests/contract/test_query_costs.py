"""What a query costs depends on what it returns, not on what is stored: on both databases, and large ones."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import schema
from tests.contract.large_database import EACH, MILLION, NOW, fill
from tests.support import databases, services

pytestmark = pytest.mark.slow

FOLDER = Path(schema.__file__).parent
COMPILED: dict[str, dict[str, dict[str, Any]]] = {
    dialect: json.loads((FOLDER / "compiled" / f"{dialect}.json").read_bytes())
    for dialect in ("postgresql", "sqlite")
}
LIMIT = 20

WHOLE: dict[str, str] = {
    "administration.BELONGINGS": "all of an account, for one command",
    "accounts.PUSH_TOKENS": "all devices of an account",
    "deletions.PICTURES_IN_USE": "once for each account that is deleted",
    "leftovers.SOME_INACTIVE": "the command `purge`: all sessions once, from page to page",
    "machines.OWNED": "all machines of an account",
    "machines.OWNED_KEYS": "all machines of an account",
    "people.FRIENDS": "all friends of an account",
    "sealed.COUNTS_GITHUB": "the commands about the master secret go through all of them",
    "sealed.PAGE_GITHUB": "the commands about the master secret go through all of them, once",
    "statistics.ACTIVE": "the command `stats`: what is active",
    "statistics.LARGEST_ACCOUNTS": "the command `stats`: all sessions",
    "statistics.ROWS": "once a minute",
    "statistics.TABLES": "the command `stats`: it samples each table",
    "storage.NTH_SESSION": "as many sessions of an account as its quota",
    "storage.STORED": "all sessions of an account, once in some seconds",
}
"""Queries whose result is as large as what is stored, or that run by themselves."""

VALUES: dict[str, Any] = {
    "account": "a1",
    "account_id": "a1",
    "accounts": ["a1"],
    "after": -1,
    "after_at": NOW - 1_000_000,
    "after_id": "",
    "artifact": "f17",
    "requested_accounts": ["a1"],
    "requested_sessions": ["s1"],
    "at": NOW,
    "before": 2**31,
    "changed_since": NOW - 1_000_000,
    "contents": ['{"t":"encrypted","c":""}'],
    "count": 1,
    "deadline": NOW - 1_000_000 + 100,
    "end": "project:109",
    "expected": 0,
    "first": "project:1049",
    "github_id": "g17",
    "ids": ["new"],
    "id": "new",
    "key": "project:104998",
    "keys": ["project:104998", "none"],
    "last_at": NOW - 1_000_000 + LIMIT,
    "last_id": "",
    "length": 3_600_000,
    "limit": LIMIT,
    "local_id": "local17",
    "local_ids": ["local17"],
    "machine": "m17",
    "now": NOW,
    "nows": [NOW],
    "one": "a1",
    "other": "a17",
    "owner": "a1",
    "public_key": "k17",
    "repeat_key": "again17",
    "reuse_key": "x17",
    "seq": 50_000,
    "session": "s1",
    "sessions": ["s1"],
    "skip": LIMIT,
    "since": NOW - 1_000_000,
    "status": "friend",
    "target": "gone",
    "token": "token17",
    "until": NOW,
    "username": "user17",
    "viewer": "a1",
}
OF_QUERY: dict[str, dict[str, Any]] = {
    "append.APPEND": {"local_ids": ["new"]},
    "github.FORGET_STATES": {"now": NOW - 1_000_000 + 5},
    "github.SAVE_USER": {"token": b"", "profile": "{}"},
    "pairings.DROP_ANSWERED_ACCOUNT": {"deadline": NOW},
    "pairings.DROP_ANSWERED_TERMINAL": {"deadline": NOW},
    "pairings.DROP_UNANSWERED_ACCOUNT": {"deadline": NOW},
    "pairings.DROP_UNANSWERED_TERMINAL": {"deadline": NOW},
    "people.SEARCH": {"first": "user17", "end": "user18"},
    "sessions.PAGE": {"before": "~", "changed_since": 0},
    "sessions.PAGE_KEYS": {"before": "~", "changed_since": 0},
    "vendor_tokens.SAVE": {"token": b""},
}


def test_every_exception_is_a_query() -> None:
    known = COMPILED["sqlite"].keys() | COMPILED["postgresql"].keys()

    assert set() == {*WHOLE, *OF_QUERY, *SMALL_TABLE, *GENERIC} - known


def values_of(name: str, query: dict[str, Any]) -> dict[str, Any]:
    known = {**VALUES, **OF_QUERY.get(name, {})}
    return {parameter: known.get(parameter) for parameter in query["parameters"]}


# -- SQLite: instructions of its virtual machine


def steps(db: sqlite3.Connection, query: dict[str, Any], values: dict[str, Any]) -> int:
    lists = {name: json.dumps(values[name]) for name in query.get("lists", [])}
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    db.execute("SAVEPOINT query")
    db.set_progress_handler(count, 10)
    try:
        db.execute(query["sql"], {**values, **lists}).fetchall()
    except sqlite3.IntegrityError:  # an insert that lacks values has found that out by itself
        pass
    finally:
        db.set_progress_handler(None, 0)
        db.execute("ROLLBACK TO query")
        db.execute("RELEASE query")
    return 10 * taken


@pytest.fixture(scope="session")
def sqlite_database() -> Iterator[sqlite3.Connection]:
    with closing(_filled(EACH)) as db:
        yield db


def _filled(each: int) -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript((FOLDER / "sqlite.sql").read_text())
    for statement in fill("sqlite", each=each):
        if statement != "ANALYZE":  # no server of ours runs it
            db.execute(statement)
    return db


STEPS = 4_000


@pytest.mark.parametrize("name", sorted(COMPILED["sqlite"].keys() - WHOLE.keys()))
def test_sqlite_takes_no_more_steps_than_a_page_needs(sqlite_database: sqlite3.Connection, name: str) -> None:
    query = COMPILED["sqlite"][name]

    assert steps(sqlite_database, query, values_of(name, query)) <= STEPS


def test_sqlite_takes_no_more_steps_among_a_million_messages() -> None:
    queries = {name: query for name, query in COMPILED["sqlite"].items() if name not in WHOLE}
    with closing(_filled(MILLION)) as db:
        taken = {name: steps(db, query, values_of(name, query)) for name, query in queries.items()}

    assert {} == {name: number for name, number in taken.items() if number > STEPS}


# -- PostgreSQL: rows that the nodes of a plan have touched


@pytest.fixture(scope="session")
def large_postgres(postgres_template: str) -> Iterator[str]:
    url = services.result_of(databases.create(postgres_template))
    services.result_of(_fill(url, EACH))
    yield url
    services.result_of(databases.drop(url))


async def _fill(url: str, each: int) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("SET session_replication_role = replica")  # references need no check
    for statement in fill("postgresql", each=each):
        await connection.execute(statement, timeout=300)
    await connection.close()


ROWS = 20 * LIMIT
SMALL_TABLE = {
    "deletions.REMOVE_KEYS_OF_MACHINE",
    "deletions.REMOVE_KEYS_OF_SESSION",
    "deletions.REMOVE_USAGE",
    "pairings.DROP_ANSWERED_ACCOUNT",
    "pairings.DROP_ANSWERED_TERMINAL",
    "pairings.DROP_UNANSWERED_ACCOUNT",
    "pairings.DROP_UNANSWERED_TERMINAL",
}
"""Where PostgreSQL reads a table of this size rather than look up twenty rows of it."""

GENERIC = {"kv.GET_MANY", "kv.GIVEN"}
"""Where a plan for any values looks through an account's rows: it expects the few that most accounts have."""


PLANS = ("force_custom_plan", "force_generic_plan")


@pytest.mark.services
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("name", sorted(COMPILED["postgresql"].keys() - WHOLE.keys()))
async def test_postgres_touches_no_more_rows_than_a_page_needs(
    large_postgres: str, name: str, plan: str
) -> None:
    assert [] == await excesses(large_postgres, name, plan)


@pytest.mark.services
@pytest.mark.timeout(600)
async def test_postgres_touches_no_more_rows_among_a_million_messages(postgres_template: str) -> None:
    url = await databases.create(postgres_template)
    try:
        await _fill(url, MILLION)
        names = COMPILED["postgresql"].keys() - WHOLE.keys()
        found = {(name, plan): await excesses(url, name, plan) for name in sorted(names) for plan in PLANS}
        assert {} == {query: nodes for query, nodes in found.items() if nodes}
    finally:
        await databases.drop(url)


async def excesses(url: str, name: str, plan: str) -> list[dict[str, Any]]:
    """The nodes of its plan that touch more rows than a page needs."""
    query = COMPILED["postgresql"][name]
    values = values_of(name, query)
    connection = await asyncpg.connect(url, server_settings={"plan_cache_mode": plan})
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(f"PREPARE query AS {query['sql']}")
        arguments = ", ".join(_literal(values[parameter]) for parameter in query["parameters"])
        execute = f"EXECUTE query({arguments})" if arguments else "EXECUTE query"
        found = json.loads(await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {execute}"))
    except asyncpg.IntegrityConstraintViolationError:
        found = []  # an insert that lacks values has found that out by itself
    finally:
        await transaction.rollback()
        await connection.close()

    if name in SMALL_TABLE or (plan == "force_generic_plan" and name in GENERIC):
        return []
    return [node for node in _nodes(found) if _touched(node) > ROWS]


def _literal(value: Any) -> str:
    match value:
        case None:
            return "NULL"
        case list():
            quoted = ",".join('"' + str(item).replace('"', '\\"') + '"' for item in value)
            return f"'{{{quoted}}}'"
        case bytes():
            return f"'\\x{value.hex()}'"
        case _:
            return f"'{value}'"


def _nodes(found: Any) -> Iterator[dict[str, Any]]:
    for one in found if isinstance(found, list) else [found]:
        plan = one.get("Plan", one)
        yield {key: value for key, value in plan.items() if key != "Plans"}
        yield from _nodes(plan.get("Plans", []))


def _touched(plan: dict[str, Any]) -> int:
    removed = sum(value for key, value in plan.items() if re.match(r"Rows Removed by", key))
    return int(plan["Actual Loops"] * (plan["Actual Rows"] + removed))
