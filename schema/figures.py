"""SQL that sums the named numbers of JSON documents such as `{"tokens": {"total": 12}}`.

Values that are not numbers are skipped, and so are documents larger than clients can store: reading them
would cost too much.
"""

from typing import Any

from sqlalchemy import ColumnElement, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import TableValuedAlias
from sqlalchemy.types import NullType

MAX_BYTES = 65_536
"""The largest document that is read. PostgreSQL measures it as it is stored."""

EXACT = 2**40
"""Larger integers are summed as floating point numbers on SQLite, where integer overflow is an error."""

MAX_FIGURE = "1e290"
"""Numbers beyond it are skipped: a sum of them would overflow every type."""


class _Figures(FunctionElement[Any]):
    """The rows (name, number) of one part of a document."""

    inherit_cache = False
    name = "figures"

    def __init__(self, data: ColumnElement[Any], part: str) -> None:
        super().__init__(data)
        self.part = part


class _IsFigure(FunctionElement[Any]):
    inherit_cache = True
    name = "is_figure"
    type = NullType()


class _SumOfFigures(FunctionElement[Any]):
    """An integer if all are, else a floating point number; as text on PostgreSQL, where it has one type."""

    inherit_cache = True
    name = "sum_of_figures"
    type = Text()


def figures(data: ColumnElement[Any], part: str) -> TableValuedAlias:
    return _Figures(data, part).table_valued("key", "value", name="figure")


def is_figure(rows: TableValuedAlias) -> ColumnElement[Any]:
    return _IsFigure(rows.c.value)


def sum_of(rows: TableValuedAlias) -> ColumnElement[Any]:
    return _SumOfFigures(rows.c.value)


@compiles(_Figures, "postgresql")
def _postgresql_figures(element: _Figures, compiler: SQLCompiler, **options: Any) -> str:
    data = compiler.process(*element.clauses, **options)
    part = f"{data} -> '{element.part}'"
    usable = f"pg_column_size({data}) <= {MAX_BYTES} AND jsonb_typeof({part}) = 'object'"
    return f"jsonb_each(CASE WHEN {usable} THEN {part} END)"


@compiles(_Figures, "sqlite")
def _sqlite_figures(element: _Figures, compiler: SQLCompiler, **options: Any) -> str:
    data, path = compiler.process(*element.clauses, **options), f"'$.{element.part}'"
    small = f"CASE WHEN length({data}) <= {MAX_BYTES} THEN json_valid({data}) ELSE 0 END"
    usable = f"CASE WHEN json_type({data}, {path}) = 'object' THEN {data} END"
    return f"json_each(CASE WHEN {small} THEN {usable} END, {path})"


@compiles(_IsFigure, "postgresql")
def _postgresql_is_figure(element: _IsFigure, compiler: SQLCompiler, **options: Any) -> str:
    value = compiler.process(*element.clauses, **options)
    small = f"abs(CAST({value} AS NUMERIC)) < {MAX_FIGURE}"
    return f"CASE WHEN jsonb_typeof({value}) = 'number' THEN {small} ELSE false END"


@compiles(_IsFigure, "sqlite")
def _sqlite_is_figure(element: _IsFigure, compiler: SQLCompiler, **options: Any) -> str:
    value = compiler.process(*element.clauses, **options)
    return f"(figure.type IN ('integer', 'real') AND {value} BETWEEN -{MAX_FIGURE} AND {MAX_FIGURE})"


@compiles(_SumOfFigures, "postgresql")
def _postgresql_sum_of_figures(element: _SumOfFigures, compiler: SQLCompiler, **options: Any) -> str:
    number = f"CAST({compiler.process(*element.clauses, **options)} AS NUMERIC)"
    exact = f"CAST(sum({number}) AS TEXT)"
    approximate = f"CAST(sum(CAST({number} AS DOUBLE PRECISION)) AS TEXT)"
    return f"CASE WHEN bool_and(scale({number}) = 0) THEN {exact} ELSE {approximate} END"


@compiles(_SumOfFigures, "sqlite")
def _sqlite_sum_of_figures(element: _SumOfFigures, compiler: SQLCompiler, **options: Any) -> str:
    value = compiler.process(*element.clauses, **options)
    exact = f"typeof({value}) = 'integer' AND {value} BETWEEN -{EXACT} AND {EXACT}"
    return f"sum(CASE WHEN {exact} THEN {value} ELSE CAST({value} AS REAL) END)"
