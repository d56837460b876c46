"""Render every query for both databases: `python -m schema.compile [--check]`.

Constants become literals, so that `parameters` names exactly what a caller has to supply: the order of
`$1, $2, ...` on PostgreSQL, the keys of `:name` on SQLite. `lists` names those that take a list, which is an
array on PostgreSQL and a JSON text on SQLite.
"""

import importlib
import json
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

from sqlalchemy import BindParameter, ClauseElement, Dialect, Executable, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql.asyncpg import PGCompiler_asyncpg
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.sql.visitors import iterate

import schema.queries
from schema.codegen import Artifact, main
from schema.expressions import AnyOf
from schema.listings import Listing

FOLDER = Path(__file__).parent / "compiled"
INSERTS = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
Compiled = dict[str, dict[str, Any]]


class _PostgreSQLCompiler(PGCompiler_asyncpg):
    """Writes a bound constant into the statement; only parameters without a value stay parameters."""

    def visit_bindparam(self, bindparam: BindParameter[Any], **options: Any) -> Any:  # type: ignore[override]
        return super().visit_bindparam(bindparam, **_constant(bindparam, options))  # type: ignore[no-untyped-call]


class _SQLiteCompiler(SQLiteCompiler):
    """The same."""

    def visit_bindparam(self, bindparam: BindParameter[Any], **options: Any) -> Any:  # type: ignore[override]
        return super().visit_bindparam(bindparam, **_constant(bindparam, options))  # type: ignore[no-untyped-call]


def _constant(bindparam: BindParameter[Any], options: dict[str, Any]) -> dict[str, Any]:
    return options if bindparam.required else {**options, "literal_binds": True}


def dialect_of(name: str) -> Dialect:
    dialect: Any
    if name == "postgresql":
        dialect = make_url("postgresql+asyncpg://").get_dialect()()  # with casts for asyncpg
        dialect.statement_compiler = _PostgreSQLCompiler
        dialect._backslash_escapes = False  # noqa: SLF001 - none in literals, by the server's default
    else:
        dialect = sqlite.dialect(paramstyle="named")
        dialect.statement_compiler = _SQLiteCompiler
    found: Dialect = dialect
    return found


def queries(dialect: str) -> Iterator[tuple[str, Executable | FunctionType]]:
    """Every query for this database, by `<module>.<NAME>`."""
    for module_info in sorted(pkgutil.iter_modules(schema.queries.__path__), key=lambda info: info.name):
        module = importlib.import_module(f"schema.queries.{module_info.name}")
        for name, value in sorted(vars(module).items()):
            if name.isupper() and isinstance(value, Listing):
                yield from value.statements(f"{module_info.name}.{name}", dialect)
            elif name.isupper() and isinstance(value, Executable | FunctionType):
                yield f"{module_info.name}.{name}", value


def _list_names(statement: ClauseElement) -> set[str]:
    return {str(list(part.clauses)[1].key) for part in iterate(statement) if isinstance(part, AnyOf)}


def compile_one(query: Executable | Callable[[Any], Any], dialect: Dialect) -> dict[str, Any]:
    statement: Any = query(INSERTS[dialect.name]) if isinstance(query, FunctionType) else query
    compiled: Any = statement.compile(dialect=dialect)
    entry: dict[str, Any] = {
        "sql": re.sub(r"\s*\n\s*", " ", str(compiled)).strip(),
        "parameters": list(compiled.positiontup if compiled.positional else compiled.binds),
    }
    if lists := sorted(_list_names(statement)):
        entry["lists"] = lists
    return entry


def compile_all(name: str) -> Compiled:
    dialect = dialect_of(name)
    compiled: Compiled = {}
    for key, query in queries(name):
        if getattr(query, "only", name) == name:
            try:
                compiled[key] = compile_one(query, dialect)
            except Exception as error:
                error.add_note(f"while compiling {key} for {name}")
                raise
    return compiled


def artifacts() -> Iterator[Artifact]:
    for name in INSERTS:
        yield FOLDER / f"{name}.json", json.dumps(compile_all(name), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main(artifacts(), sys.argv[1:]))
