"""Rows become structs by position: every statement returns exactly the fields of what its rows become."""

import importlib
import inspect
import pkgutil
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

import schema
from happy.adapters import sql
from happy.adapters.sql.statement import Listing, Statement, scalar, statements


def _found(value: object) -> Iterator[Statement[Any]]:
    """The statements in a module's variable."""
    if isinstance(value, Statement):
        yield value
    elif isinstance(value, Listing):
        yield from (value.statement, value.keys)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _found(item)
    elif isinstance(value, dict):
        yield from _found(list(value.values()))
    elif isinstance(value, msgspec.Struct):
        yield from _found(msgspec.structs.astuple(value))


def _all_statements() -> dict[str, Statement[Any]]:
    modules = [
        importlib.import_module(f"{sql.__name__}.{found.name}")
        for found in pkgutil.iter_modules(sql.__path__)
    ]
    return {
        statement.name: statement
        for module in modules
        for value in vars(module).values()
        for statement in _found(value)
    }


STATEMENTS = _all_statements()
ROWS = sorted(name for name, statement in STATEMENTS.items() if statement._row is not scalar)


@pytest.fixture(scope="module")
def columns() -> Iterator[Any]:
    """The names of the columns a statement returns, from running it on empty tables."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.executescript((Path(schema.__file__).parent / "sqlite.sql").read_text())

        def returned(name: str) -> list[str]:
            compiled = STATEMENTS[name].compiled("sqlite")
            values = {name: "[]" if name in compiled.lists else 0 for name in compiled.parameters}
            with db:
                db.execute("BEGIN")
                description = db.execute(compiled.sql, values).description
                db.rollback()
            return [column for column, *_ in description or ()]

        yield returned


def _snake_case(name: str) -> str:
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_has_the_fields_of_what_it_becomes(columns: Any, name: str) -> None:
    fields = _fields(STATEMENTS[name]._row)
    returned = [_snake_case(column) for column in columns(name)]

    assert len(fields) == len(returned)
    for position, column in enumerate(returned):
        assert column not in fields or position == fields.index(column), f"{column} is out of order"


def _fields(row: Any) -> list[str]:
    if isinstance(row, type) and issubclass(row, msgspec.Struct):
        return list(row.__struct_fields__)
    return list(inspect.signature(row).parameters)


@pytest.mark.parametrize("name", sorted(STATEMENTS.keys() - set(ROWS)))
def test_a_scalar_statement_returns_one_column_at_most(columns: Any, name: str) -> None:
    assert len(columns(name)) <= 1


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_every_statement_is_compiled(dialect: str) -> None:
    missing = STATEMENTS.keys() - statements(dialect).keys()

    assert set() == {name for name in missing if dialect == "sqlite" or not name.endswith("_KEYS")}


def test_every_query_for_sqlite_is_used() -> None:
    assert set() == statements("sqlite").keys() - STATEMENTS.keys()
