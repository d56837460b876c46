"""A compiled query asks for named parameters only, and says which of them are lists."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import bindparam

from schema import compile as schema_compile
from schema.codegen import main, stale
from schema.compile import compile_all, compile_one, dialect_of
from schema.expressions import any_of, greatest, only
from schema.tables import accounts, sessions

DIALECTS = ["postgresql", "sqlite"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_constants_are_written_into_the_sql(dialect: str) -> None:
    query = sa.select(sessions.c.seq + 1).where(sessions.c.tag == "it's", sessions.c.id == bindparam("id"))
    compiled = compile_one(query, dialect_of(dialect))

    assert ["id"] == compiled["parameters"]
    assert "seq + 1" in compiled["sql"]
    assert "'it''s'" in compiled["sql"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_fixed_list_is_written_into_the_sql(dialect: str) -> None:
    query = sa.select(sessions.c.id).where(sessions.c.tag.in_(["a", "b"]))

    assert "IN ('a', 'b')" in compile_one(query, dialect_of(dialect))["sql"]


def test_backslashes_are_not_doubled_for_postgres() -> None:
    query = sa.select(sessions.c.id).where(sessions.c.tag.like("100\\%", escape="\\"))

    assert "LIKE '100\\%' ESCAPE '\\'" in compile_one(query, dialect_of("postgresql"))["sql"]


def test_a_parameter_used_twice_is_listed_once() -> None:
    query = sa.update(sessions).values(created_at=bindparam("now"), updated_at=bindparam("now"))
    compiled = compile_one(query, dialect_of("postgresql"))

    assert ["now"] == compiled["parameters"]
    assert "$2" not in compiled["sql"]


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        ("postgresql", '"Session".seq = ANY(CAST($1 AS INTEGER[]))'),
        ("sqlite", '"Session".seq IN (SELECT value FROM json_each(:seqs))'),
    ],
)
def test_a_list_parameter_is_marked(dialect: str, expected: str) -> None:
    compiled = compile_one(
        sa.select(sa.func.count()).where(any_of(sessions.c.seq, "seqs")), dialect_of(dialect)
    )

    assert compiled["sql"].endswith(f'FROM "Session" WHERE {expected}')
    assert ["seqs"] == compiled["lists"]


def test_only_text_and_integers_can_be_listed() -> None:
    with pytest.raises(TypeError, match="any_of takes text and integer columns"):
        any_of(sessions.c.updated_at, "moments")


@pytest.mark.parametrize(("dialect", "function"), [("postgresql", "greatest"), ("sqlite", "max")])
def test_the_larger_of_two_values(dialect: str, function: str) -> None:
    query = sa.select(greatest(accounts.c.seq, "seq"))

    assert f'{function}("Account".seq, ' in compile_one(query, dialect_of(dialect))["sql"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_function_gets_the_insert_of_the_dialect(dialect: str) -> None:
    def query(insert: Any) -> Any:
        return (
            insert(accounts).values(id=bindparam("id")).on_conflict_do_nothing(index_elements=[accounts.c.id])
        )

    assert "ON CONFLICT (id) DO NOTHING" in compile_one(query, dialect_of(dialect))["sql"]


def test_a_query_for_one_database_is_left_out_of_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    @only("postgresql")
    def query(_insert: Any) -> Any:
        return sa.text("SELECT 1")

    monkeypatch.setattr(schema_compile, "queries", lambda _dialect: [("demo.QUERY", query)])

    assert ["demo.QUERY"] == list(compile_all("postgresql"))
    assert [] == list(compile_all("sqlite"))


def test_a_query_that_does_not_compile_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def query(_insert: Any) -> Any:
        raise LookupError("no such column")

    monkeypatch.setattr(schema_compile, "queries", lambda _dialect: [("demo.QUERY", query)])
    with pytest.raises(LookupError) as caught:
        compile_all("sqlite")

    assert ["while compiling demo.QUERY for sqlite"] == caught.value.__notes__


def test_stale_files_are_found_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = [(tmp_path / "new" / "file", "text")]

    assert 1 == main(made, ["--check"])
    assert "run `make schema`" in capsys.readouterr().err
    assert 0 == main(made, [])
    assert [] == stale(made)
    assert 0 == main(made, ["--check"])
