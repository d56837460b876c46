"""Adoption of a PostgreSQL database that another server of this protocol created: compare and complete it."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.schema import CreateIndex

from happy.domain.errors import StartupError
from schema.tables import metadata

OPTIONAL_TABLES = frozenset({"VoiceConversation"})
"""Absent from databases of older servers, and used by no request."""

OURS = "happy_"
"""Indexes of later migrations have this prefix."""


class SchemaMismatch(StartupError):
    """The database has tables, but not those of this protocol."""


class Column(NamedTuple):
    type: str
    required: bool
    has_default: bool


class Table(NamedTuple):
    columns: Mapping[str, Column]
    primary_key: tuple[str, ...]
    unique: frozenset[frozenset[str]]


COLUMNS = text("""
SELECT c.relname, a.attname, a.attnotnull, a.atthasdef,
       t.typname || coalesce('(' || nullif(a.atttypmod, -1)::text || ')', '')
           || coalesce(' ' || (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder)
                               FROM pg_enum WHERE enumtypid = t.oid), '')
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
WHERE c.relnamespace = cast(:schema AS regnamespace) AND c.relkind IN ('r', 'p')
ORDER BY c.relname, a.attnum
""")

KEYS = text("""
SELECT c.relname, i.indisprimary,
       ARRAY(SELECT a.attname::text FROM unnest(i.indkey::int[]) WITH ORDINALITY k(number, position)
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number ORDER BY k.position)
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
WHERE c.relnamespace = cast(:schema AS regnamespace)
  AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
""")

INDEXES = text(
    "SELECT relname FROM pg_class"
    " WHERE relkind IN ('i', 'I') AND relnamespace = cast(:schema AS regnamespace)"
)


def tables(connection: Connection, schema: str) -> dict[str, Table]:
    """Columns, keys and indexes of every table of a schema, by name."""
    columns: dict[str, dict[str, Column]] = {}
    for table, name, required, has_default, type_ in connection.execute(COLUMNS, {"schema": schema}):
        columns.setdefault(table, {})[name] = Column(type_, required, has_default)
    primary: dict[str, tuple[str, ...]] = {}
    unique: dict[str, set[frozenset[str]]] = {name: set() for name in columns}
    for table, is_primary, names in connection.execute(KEYS, {"schema": schema}):
        if is_primary:
            primary[table] = tuple(names)
        unique[table].add(frozenset(names))
    return {
        name: Table(found, primary.get(name, ()), frozenset(unique[name])) for name, found in columns.items()
    }


def check(found: Mapping[str, Table], expected: Mapping[str, Table]) -> None:
    """Raises SchemaMismatch naming the first difference that would break a query of ours."""
    for name, table in expected.items():
        if name in found:
            problem = next(_differences(found[name], table), None)
            if problem is not None:
                raise SchemaMismatch(f'table "{name}": {problem}')
        elif name not in OPTIONAL_TABLES:
            raise SchemaMismatch(f'there is no table "{name}"')


def _differences(found: Table, expected: Table) -> Iterator[str]:
    for name, column in expected.columns.items():
        if name not in found.columns:
            yield f'there is no column "{name}"'
        else:
            yield from _column_differences(name, found.columns[name], column)
    for name, column in found.columns.items():
        if name not in expected.columns and column.required and not column.has_default:
            yield f'the unknown column "{name}" is NOT NULL without a default'
    if found.primary_key != expected.primary_key:
        yield f"the primary key is ({', '.join(found.primary_key)}), not ({', '.join(expected.primary_key)})"
    for names in expected.unique - found.unique:
        yield f"({', '.join(sorted(names))}) is not unique"


def _column_differences(name: str, found: Column, expected: Column) -> Iterator[str]:
    if found.type != expected.type:
        yield f'column "{name}" is {found.type}, not {expected.type}'
    if found.required != expected.required:
        yield f'column "{name}" must {"" if expected.required else "not "}be NOT NULL'


def complete(connection: Connection, schema: str) -> None:
    """Create missing tables and non-unique indexes; unique ones were checked before."""
    for name in OPTIONAL_TABLES:
        metadata.tables[name].create(connection, checkfirst=True)
    present = set(connection.scalars(INDEXES, {"schema": schema}))
    for table in metadata.sorted_tables:
        for index in table.indexes:
            name = str(index.name)
            if not index.unique and name not in present and not name.startswith(OURS):
                connection.execute(CreateIndex(index, if_not_exists=True))
