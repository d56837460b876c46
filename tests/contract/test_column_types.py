"""Moments, JSON and bytes come out of both databases as they went in, through the raw drivers."""

import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import bindparam

import schema
from schema.compile import compile_one, dialect_of
from schema.expressions import any_of, greatest
from schema.tables import accounts, github_users, user_relationships

Run = Callable[..., Awaitable[list[tuple[Any, ...]]]]
MOMENTS = [0, 1, 999, 1_700_000_000_001, 1_732_286_231_999, 4_102_444_799_999]
AVATAR = '{"path": "a\'b\\\\c é"}'

ADD_ACCOUNT = (
    sa.insert(accounts)
    .values(
        id=bindparam("id"),
        public_key=bindparam("id"),
        created_at=bindparam("now"),
        updated_at=bindparam("now"),
        avatar=bindparam("avatar"),
        username=sa.null(),
        settings="it's \\ a literal",
    )
    .returning(accounts.c.created_at, accounts.c.avatar, accounts.c.settings)
)


@pytest.fixture
def sqlite() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript((Path(schema.__file__).parent / "sqlite.sql").read_text())
        yield db


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a query on one of the databases, straight through its driver."""
    dialect = request.param
    db = request.getfixturevalue("sqlite" if dialect == "sqlite" else "postgres")

    async def run(query: Any, **values: Any) -> list[tuple[Any, ...]]:
        compiled = compile_one(query, dialect_of(dialect))
        if dialect == "sqlite":
            with closing(db.execute(compiled["sql"], values)) as cursor:
                return list(cursor.fetchall())
        ordered = [values[name] for name in compiled["parameters"]]
        return [tuple(row) for row in await db.fetch(compiled["sql"], *ordered)]

    return run


@pytest.mark.parametrize("moment", MOMENTS)
async def test_an_insert_returns_the_moment_it_was_given(run: Run, moment: int) -> None:
    rows = await run(ADD_ACCOUNT, id="a", now=moment, avatar=None)

    assert [(moment, None, "it's \\ a literal")] == rows


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_moment_is_found_by_equality_and_by_order(run: Run, moment: int) -> None:
    await run(ADD_ACCOUNT, id="a", now=moment, avatar=None)
    at = accounts.c.updated_at
    equal = sa.select(at).where(at == bindparam("at"))
    earlier = sa.select(at).where(at < bindparam("at"))

    assert [(moment,)] == await run(equal, at=moment)
    assert [] == await run(earlier, at=moment)
    assert [(moment,)] == await run(earlier, at=moment + 1)


async def test_json_is_exchanged_as_text(run: Run) -> None:
    await run(ADD_ACCOUNT, id="a", now=1, avatar=AVATAR)

    assert [(AVATAR,)] == await run(sa.select(accounts.c.avatar))


async def test_a_moment_that_only_grows(run: Run) -> None:
    await run(ADD_ACCOUNT, id="a", now=5, avatar=None)
    grow = (
        sa.update(accounts)
        .values(updated_at=greatest(accounts.c.updated_at, "at"))
        .returning(accounts.c.updated_at)
    )

    assert [[(5,)], [(6,)]] == [await run(grow, at=4), await run(grow, at=6)]


async def test_bytes_come_back_unchanged(run: Run) -> None:
    token = bytes(range(256))
    add = (
        sa.insert(github_users)
        .values(id="1", profile=bindparam("profile"), token=bindparam("token"), updated_at=0)
        .returning(github_users.c.token)
    )

    assert [(token,)] == await run(add, profile="{}", token=token)


async def test_the_enum_is_text_and_defaults_to_pending(run: Run) -> None:
    await run(ADD_ACCOUNT, id="a", now=1, avatar=None)
    relations = user_relationships.c
    add = (
        sa.insert(user_relationships)
        .values(from_user_id="a", to_user_id="a", updated_at=1)
        .returning(relations.status)
    )
    befriend = sa.update(user_relationships).values(status=bindparam("status")).returning(relations.status)

    assert [("pending",)] == await run(add)
    assert [("friend",)] == await run(befriend, status="friend")
    assert [("friend",)] == await run(sa.select(relations.status).where(relations.status == "friend"))


async def test_a_list_parameter_matches_any_of_its_values(run: Run, request: pytest.FixtureRequest) -> None:
    for name in "abc":
        await run(ADD_ACCOUNT, id=name, now=1, avatar=None)
    query = sa.select(accounts.c.id).where(any_of(accounts.c.id, "ids")).order_by(accounts.c.id)
    wanted: Any = '["a", "c", "x"]' if "sqlite" in request.node.name else ["a", "c", "x"]

    assert [("a",), ("c",)] == await run(query, ids=wanted)
