"""The few SQL expressions that the two databases spell differently."""

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import BigInteger, ColumnElement, FromClause, Integer, String, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType

Query = TypeVar("Query", bound=Callable[..., Any])


class AnyOf(FunctionElement[Any]):
    """`column = ANY(list parameter)`."""

    name = "any_of"
    inherit_cache = True
    type = NullType()  # as a Boolean, SQLite would compare it with 1, which no index supports


class Greatest(FunctionElement[Any]):
    """The largest of its arguments."""

    name = "greatest"
    inherit_cache = True


@compiles(AnyOf, "postgresql")
def _postgresql_any_of(element: AnyOf, compiler: SQLCompiler, **options: Any) -> str:
    column, values = element.clauses
    item = compiler.dialect.type_compiler_instance.process(column.type)
    array = f"CAST({compiler.process(values, **options)} AS {item}[])"
    return f"{compiler.process(column, **options)} = ANY({array})"


@compiles(AnyOf, "sqlite")
def _sqlite_any_of(element: AnyOf, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608 - the compiler's own output


@compiles(Greatest)
def _greatest(element: Greatest, compiler: SQLCompiler, **options: Any) -> str:
    function = "max" if compiler.dialect.name == "sqlite" else "greatest"
    return f"{function}({', '.join(compiler.process(clause, **options) for clause in element.clauses)})"


def any_of(column: ColumnElement[Any], name: str) -> ColumnElement[Any]:
    """`column` is one of the list parameter `name`: an array on PostgreSQL, a JSON text on SQLite."""
    if not isinstance(column.type, String | Integer):
        raise TypeError(f"any_of takes text and integer columns, {column} is {column.type!r}")
    return AnyOf(column, bindparam(name, type_=NullType()))


def greatest(column: ColumnElement[Any], name: str) -> ColumnElement[Any]:
    """The larger of `column` and the parameter `name`; neither may be null."""
    larger = Greatest(column, bindparam(name, type_=column.type))
    larger.type = column.type
    return larger


def largest(*values: ColumnElement[int]) -> ColumnElement[int]:
    """The largest of some expressions, none of which may be null."""
    expression = Greatest(*values)
    expression.type = BigInteger()
    return expression


def only(dialect: str) -> Callable[[Query], Query]:
    """Decorator for a query function that is compiled for one database only."""

    def restrict(query: Query) -> Query:
        query.__dict__["only"] = dialect
        return query

    return restrict


class ByteOrder(FunctionElement[str]):
    """A text column that sorts and compares by its bytes, whatever collation the database was made with."""

    name = "byte_order"
    inherit_cache = True


@compiles(ByteOrder, "postgresql")
def _postgresql_byte_order(element: ByteOrder, compiler: SQLCompiler, **options: Any) -> str:
    (column,) = element.clauses
    return f'{compiler.process(column, **options)} COLLATE "C"'


@compiles(ByteOrder, "sqlite")
def _sqlite_byte_order(element: ByteOrder, compiler: SQLCompiler, **options: Any) -> str:
    (column,) = element.clauses
    return compiler.process(column, **options)


def byte_order(column: ColumnElement[str]) -> ColumnElement[str]:
    ordered = ByteOrder(column)
    ordered.type = column.type
    return ordered


class IgnoringCase(FunctionElement[str]):
    """A text column that sorts and compares without regard to the case of ASCII letters."""

    name = "ignoring_case"
    inherit_cache = True


@compiles(IgnoringCase, "postgresql")
def _postgresql_ignoring_case(element: IgnoringCase, compiler: SQLCompiler, **options: Any) -> str:
    (column,) = element.clauses
    return f'lower({compiler.process(column, **options)} COLLATE "C")'


@compiles(IgnoringCase, "sqlite")
def _sqlite_ignoring_case(element: IgnoringCase, compiler: SQLCompiler, **options: Any) -> str:
    (column,) = element.clauses
    return f"{compiler.process(column, **options)} COLLATE NOCASE"


def ignoring_case(column: ColumnElement[str]) -> ColumnElement[str]:
    """Compare it with lower-case text only."""
    folded = IgnoringCase(column)
    folded.type = column.type
    return folded


class RowCount(FunctionElement[int]):
    """The number of rows of a table at a bounded cost: exact for small tables, estimated for large ones."""

    name = "row_count"
    inherit_cache = False
    type = Integer()

    def __init__(self, table: FromClause) -> None:
        super().__init__()
        self.table = table


EXACT_ROWS = 10_000
SLICES, SLICE_ROWS = 64, 8

# PostgreSQL's own estimate, which is -1 until the table was first analyzed.
_POSTGRESQL_ESTIMATE = (
    "(SELECT CAST(reltuples AS BIGINT) FROM pg_class WHERE oid = CAST('{table}' AS regclass))"
)

# SQLite keeps no estimate. The share of rows left in evenly spread slices of row ids is extrapolated.
_SQLITE_ESTIMATE = f"""
(WITH RECURSIVE slices(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM slices WHERE n < {SLICES - 1}),
  span AS (SELECT (SELECT min(rowid) FROM {{table}}) AS first, (SELECT max(rowid) FROM {{table}}) AS last),
  starts AS (SELECT first + (last - first - {SLICE_ROWS - 1}) * n / {SLICES - 1} AS start FROM span, slices)
SELECT (SELECT last - first + 1 FROM span) * sum((SELECT count(*) FROM {{table}}
  WHERE rowid BETWEEN start AND start + {SLICE_ROWS - 1})) / {SLICES * SLICE_ROWS} FROM starts)
"""  # noqa: S608 - nothing of it comes from outside


@compiles(RowCount)
def _row_count(element: RowCount, compiler: SQLCompiler, **options: Any) -> str:
    table = compiler.process(element.table, asfrom=True, **options)
    on_sqlite = compiler.dialect.name == "sqlite"
    larger = "max" if on_sqlite else "greatest"
    estimate = (_SQLITE_ESTIMATE if on_sqlite else _POSTGRESQL_ESTIMATE).format(table=table)
    return (
        f"(SELECT CASE WHEN counted <= {EXACT_ROWS} THEN counted ELSE {larger}(counted, {estimate}) END"  # noqa: S608
        f" FROM (SELECT count(*) AS counted FROM (SELECT 1 FROM {table} LIMIT {EXACT_ROWS + 1}) few) counts)"
    )
