"""An import looks for the keys of its rows by an index: else each row would cost more than the last one."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import schema
from happy.adapters.imports.tables import ImportedTable, imported_tables
from happy.adapters.light.imports import select_existing

KEYS = [
    pytest.param(table, columns, id=f"{table.name}-{'-'.join(table.columns[number] for number in columns)}")
    for table in imported_tables().values()
    for columns in (table.key, *table.unique_keys)
]


@pytest.mark.parametrize(("table", "columns"), KEYS)
def test_rows_with_the_same_keys_are_found_by_an_index(table: ImportedTable, columns: list[int]) -> None:
    names = [table.columns[number] for number in columns]
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript((Path(schema.__file__).parent / "sqlite.sql").read_text())
        statement = select_existing(table, names, 2)
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", ["x"] * 2 * len(names)).fetchall()

    steps = [str(step[3]) for step in plan]
    assert [] == [step for step in steps if step.startswith(("SCAN there", f"SCAN {table.name}"))], steps
