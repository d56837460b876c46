"""Adoption of a light database that another server of this protocol created: check it, normalise values."""

import sqlite3
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from happy.domain.errors import StartupError

# Absent from other servers' light databases, and used by no request.
OPTIONAL_TABLES = frozenset({"VoiceConversation"})

OURS = "happy_"
"""What later migrations add has this prefix."""


class SchemaMismatch(StartupError):
    """The database has tables, but not those of this protocol."""


class Column(NamedTuple):
    declared: str
    required: bool
    default: str | None
    key_position: int

    @property
    def affinity(self) -> str:
        """The column affinity that SQLite derives from the declared type, by its rules in their order."""
        declared = self.declared.upper()
        rules = {"INT": "INTEGER", "CHAR": "TEXT", "CLOB": "TEXT", "TEXT": "TEXT", "BLOB": "BLOB"}
        rules |= {"REAL": "REAL", "FLOA": "REAL", "DOUB": "REAL"}
        if not declared:
            return "BLOB"
        return next((affinity for part, affinity in rules.items() if part in declared), "NUMERIC")


class Table(NamedTuple):
    columns: Mapping[str, Column]
    unique: frozenset[frozenset[str]]

    @property
    def primary_key(self) -> list[str]:
        parts = [(column.key_position, name) for name, column in self.columns.items() if column.key_position]
        return [name for _, name in sorted(parts)]


def tables(db: sqlite3.Connection) -> dict[str, Table]:
    """Columns, keys and unique constraints of every table, without those of SQLite and of migration tools."""
    names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {
        name: _table(db, name) for name in names if not name.startswith(("_", "sqlite_", "alembic_", OURS))
    }


def _table(db: sqlite3.Connection, name: str) -> Table:
    columns = {
        column: Column(declared, bool(required), default, key_position)
        for _, column, declared, required, default, key_position in db.execute(
            f"PRAGMA table_info({quote(name)})"
        )
    }
    indexes = db.execute(f"PRAGMA index_list({quote(name)})").fetchall()
    unique = {
        frozenset(column for _, _, column in db.execute(f"PRAGMA index_info({quote(index)})"))
        for _, index, is_unique, _, partial in indexes
        if is_unique and not partial
    }
    return Table(columns, frozenset(unique))


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def check(db: sqlite3.Connection, expected: Mapping[str, Table]) -> None:
    """Raises SchemaMismatch naming the first difference that would break a query of ours."""
    found = tables(db)
    if not found.keys() & expected.keys():
        raise SchemaMismatch("it has none of the tables")
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
        if name not in expected.columns and column.required and column.default is None:
            yield f'the unknown column "{name}" is NOT NULL without a default'
    if found.primary_key != expected.primary_key:
        yield f"the primary key is ({', '.join(found.primary_key)}), not ({', '.join(expected.primary_key)})"
    for names in expected.unique - found.unique - {frozenset(found.primary_key)}:
        yield f"({', '.join(sorted(names))}) is not unique"


def _column_differences(name: str, found: Column, expected: Column) -> Iterator[str]:
    if found.affinity != expected.affinity:
        yield f'column "{name}" is {found.declared or "untyped"}, not {expected.declared}'
    if found.required != expected.required and not expected.key_position:
        yield f'column "{name}" must {"" if expected.required else "not "}be NOT NULL'


def normalise(db: sqlite3.Connection, expected: Mapping[str, Table]) -> None:
    """Convert times to integer milliseconds and JSON documents to text. Raises SchemaMismatch."""
    present = tables(db)
    for name in expected.keys() & present.keys():
        declared = expected[name].columns
        times = [column for column in declared if declared[column].declared == "DATETIME"]
        documents = [column for column in declared if declared[column].declared == "JSONB"]
        for column in _columns_of_other_type(db, name, times, "integer"):
            _rewrite(db, name, column, TIME)
        for column in _columns_of_other_type(db, name, documents, "text"):
            _rewrite(db, name, column, DOCUMENT)


# Converted values; null where a value cannot be converted.
TIME = """CASE typeof({0})
    WHEN 'integer' THEN {0}
    WHEN 'real' THEN CAST(round({0}) AS INTEGER)
    WHEN 'text' THEN
        CAST(strftime('%s', {0}) AS INTEGER) * 1000 + CAST(substr(strftime('%f', {0}), 4) AS INTEGER)
END"""
DOCUMENT = "CASE WHEN json_valid(CAST({0} AS TEXT)) THEN CAST({0} AS TEXT) END"
# Formatted only with names from our own schema.
TYPES = "SELECT {1} FROM {0}"
NOT_CONVERTIBLE = "SELECT 1 FROM {0} WHERE {1} IS NOT NULL AND ({2}) IS NULL LIMIT 1"
REWRITE = "UPDATE {0} SET {1} = {2} WHERE {1} IS NOT NULL"


def _columns_of_other_type(db: sqlite3.Connection, table: str, columns: list[str], kind: str) -> list[str]:
    """Those of `columns` with values of another type than `kind` or null."""
    if not columns:
        return []
    tests = ", ".join(f"max(typeof({quote(column)}) NOT IN ('null', '{kind}'))" for column in columns)
    flags = db.execute(TYPES.format(quote(table), tests)).fetchone()
    return [column for column, differs in zip(columns, flags, strict=True) if differs]


def _rewrite(db: sqlite3.Connection, table: str, column: str, value: str) -> None:
    parts = (quote(table), quote(column), value.format(quote(column)))
    if db.execute(NOT_CONVERTIBLE.format(*parts)).fetchone():
        raise SchemaMismatch(f'table "{table}": column "{column}" has a value that cannot be converted')
    db.execute(REWRITE.format(*parts))


def complete(db: sqlite3.Connection, reference: sqlite3.Connection) -> None:
    """Create missing tables and non-unique indexes of `reference`; unique ones were checked before."""
    present = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    wanted = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql NOT NULL ORDER BY type = 'index'"
    for kind, name, table, sql in reference.execute(wanted).fetchall():
        checked = kind == "index" and table in present and sql.startswith("CREATE UNIQUE")
        if name not in present and not checked:
            db.execute(sql)
