"""SQL for how many bytes the database and its tables have, at a bounded cost.

PostgreSQL knows both. SQLite knows the size of the file alone: the rows of a table are sampled.
"""

from typing import Any

from sqlalchemy import BigInteger, Table
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

SAMPLES = 64


class DatabaseBytes(FunctionElement[int]):
    """The size of the whole database."""

    name = "database_bytes"
    inherit_cache = False
    type = BigInteger()


class TableBytes(FunctionElement[int]):
    """The size of a table with its indexes; null on SQLite."""

    name = "table_bytes"
    inherit_cache = False
    type = BigInteger()

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.table = table


class RowBytes(TableBytes):
    """The average size of a row's values, of evenly spread rows; null on PostgreSQL."""

    name = "row_bytes"


@compiles(DatabaseBytes, "postgresql")
def _postgresql_database(element: DatabaseBytes, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ARG001
    return "pg_database_size(current_database())"


@compiles(DatabaseBytes, "sqlite")
def _sqlite_database(element: DatabaseBytes, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ARG001
    return "(SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size())"


@compiles(TableBytes, "postgresql")
def _postgresql_table(element: TableBytes, compiler: SQLCompiler, **options: Any) -> str:
    table = compiler.process(element.table, asfrom=True, **options)
    return f"pg_total_relation_size(CAST('{table}' AS regclass))"


@compiles(TableBytes, "sqlite")
def _sqlite_table(element: TableBytes, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ARG001
    return "NULL"


@compiles(RowBytes, "postgresql")
def _postgresql_row(element: RowBytes, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ARG001
    return "CAST(NULL AS BIGINT)"


@compiles(RowBytes, "sqlite")
def _sqlite_row(element: RowBytes, compiler: SQLCompiler, **options: Any) -> str:
    table = compiler.process(element.table, asfrom=True, **options)
    quote = compiler.preparer.quote
    columns = [f"coalesce(length(CAST({quote(column.name)} AS BLOB)), 0)" for column in element.table.c]
    return f"""(WITH RECURSIVE samples(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM samples WHERE n < {SAMPLES - 1}),
  span AS (SELECT (SELECT min(rowid) FROM {table}) AS first, (SELECT max(rowid) FROM {table}) AS last)
SELECT CAST(coalesce(avg((SELECT {" + ".join(columns)} FROM {table}
  WHERE rowid >= first + (last - first) * n / {SAMPLES - 1} ORDER BY rowid LIMIT 1)), 0) AS INTEGER) FROM samples, span)"""  # noqa: S608, E501
