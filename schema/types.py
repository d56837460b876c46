"""Portable column types that convert inside the database, so that raw drivers need no codecs.

| Type     | Python        | PostgreSQL                                | SQLite                          |
| -------- | ------------- | ----------------------------------------- | ------------------------------- |
| `Millis` | `int`         | `TIMESTAMP(3)` in UTC                     | `DATETIME` holding an integer   |
| `Json`   | `str`         | `JSONB`, exchanged as its text            | `JSONB` holding text            |
| `Blob`   | `bytes`       | `BYTEA`                                   | `BLOB`                          |

SQLite gives `DATETIME` and `JSONB` columns numeric affinity: a JSON document must not be a bare number.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Dialect, Enum, LargeBinary, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine, UserDefinedType

MILLISECONDS = 3  # fractional digits
RELATIONSHIP_STATUSES = ("none", "requested", "pending", "friend", "rejected")


class _Conversion(ColumnElement[Any]):
    """A value that is bound or selected: unchanged on SQLite, converted on PostgreSQL."""

    inherit_cache = False

    def __init__(self, inner: ColumnElement[Any], result: TypeEngine[Any]) -> None:
        self.inner = inner
        self.type = result


class _FromMillis(_Conversion):
    pass


class _ToMillis(_Conversion):
    pass


class _FromJson(_Conversion):
    pass


class _ToJson(_Conversion):
    pass


@compiles(_FromMillis)
@compiles(_ToMillis)
@compiles(_FromJson)
@compiles(_ToJson)
def _unchanged(element: _Conversion, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.inner, **options)


@compiles(_FromMillis, "postgresql")
def _postgresql_from_millis(element: _Conversion, compiler: SQLCompiler, **options: Any) -> str:
    # Exact: the product stays an integer number of microseconds far below 2^53; no time zone is involved.
    inner = compiler.process(element.inner, **options)
    return f"(TIMESTAMP 'epoch' + CAST({inner} AS BIGINT) * INTERVAL '1 millisecond')"


@compiles(_ToMillis, "postgresql")
def _postgresql_to_millis(element: _Conversion, compiler: SQLCompiler, **options: Any) -> str:
    inner = compiler.process(element.inner, **options)
    return f"CAST(EXTRACT(EPOCH FROM {inner}) * 1000 AS BIGINT)"


@compiles(_FromJson, "postgresql")
def _postgresql_from_json(element: _Conversion, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST(CAST({compiler.process(element.inner, **options)} AS TEXT) AS JSONB)"


@compiles(_ToJson, "postgresql")
def _postgresql_to_json(element: _Conversion, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST({compiler.process(element.inner, **options)} AS TEXT)"


class Millis(UserDefinedType[int]):
    """A time; outside the database, integer milliseconds since 1970 UTC."""

    cache_ok = True

    def bind_expression(self, bindvalue: ColumnElement[Any]) -> ColumnElement[int]:
        return _FromMillis(bindvalue, self)

    def column_expression(self, colexpr: ColumnElement[Any]) -> ColumnElement[int]:
        return _ToMillis(colexpr, self)

    def literal_processor(self, dialect: Dialect) -> Callable[[int], str]:  # noqa: ARG002 - fixed signature
        return str

    def compare_against_backend(self, dialect: Dialect, found: TypeEngine[Any]) -> bool:
        """For `alembic check`: whether the reflected column type is this one."""
        name = type(found).__name__
        if dialect.name != "postgresql":
            return name == "DATETIME"
        return name == "TIMESTAMP" and getattr(found, "precision", None) == MILLISECONDS


class Json(UserDefinedType[str]):
    """A JSON document, exchanged as text and never parsed on the way."""

    cache_ok = True

    def bind_expression(self, bindvalue: BindParameter[str]) -> ColumnElement[str]:
        return _FromJson(bindvalue, self)

    def column_expression(self, colexpr: ColumnElement[Any]) -> ColumnElement[str]:
        return _ToJson(colexpr, self)

    def literal_processor(self, dialect: Dialect) -> Callable[[str], str] | None:
        quoted: Callable[[str], str] | None = Text().literal_processor(dialect)  # type: ignore[no-untyped-call]
        return quoted

    def compare_against_backend(self, dialect: Dialect, found: TypeEngine[Any]) -> bool:
        """For `alembic check`: whether the reflected column type is this one."""
        # SQLite knows no type of this name and reports the affinity that the name implies.
        return type(found).__name__ in ({"JSONB"} if dialect.name == "postgresql" else {"JSONB", "NUMERIC"})


@compiles(Millis, "postgresql")
def _postgresql_millis(_type: Millis, _compiler: Any, **_options: Any) -> str:
    return f"TIMESTAMP({MILLISECONDS})"


@compiles(Millis, "sqlite")
def _sqlite_millis(_type: Millis, _compiler: Any, **_options: Any) -> str:
    return "DATETIME"


@compiles(Json)
def _json(_type: Json, _compiler: Any, **_options: Any) -> str:
    return "JSONB"


Blob = LargeBinary


def relationship_status() -> TypeEngine[str]:
    """The only enum: a named type on PostgreSQL, text on SQLite."""
    return Enum(*RELATIONSHIP_STATUSES, name="RelationshipStatus").with_variant(Text(), "sqlite")
