"""Rows of every table of the schema as lines of JSON, and back; the same for both databases."""

import hashlib
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from happy.adapters.archive.format import ArchiveDamaged
from schema.revisions import HEAD
from schema.tables import metadata
from schema.types import Blob, Json

Dialect = Literal["postgresql", "sqlite"]
DIGEST_BITS: Final = 256

_DIALECTS: Final[dict[Dialect, Any]] = {
    "postgresql": postgresql.asyncpg.dialect,
    "sqlite": sqlite.dialect,
}
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.decode


class Reference(NamedTuple):
    """Columns that refer to a row of another table, that table, and the columns there; by number."""

    ours: list[int]
    table: str
    theirs: list[int]
    optional: list[int]
    """Those of ours that may be empty; none of them: the row is nothing without the other."""


class RowFormat:
    """How rows of one table are selected, written, read and inserted."""

    def __init__(self, table: sa.Table, only: Collection[str] | None = None) -> None:
        """`only` the columns that an earlier revision had; None: all."""
        self.name = str(table.name)
        self._table = table
        self._columns = [column for column in table.columns if only is None or column.name in only]
        self.columns = [column.name for column in self._columns]
        self._blobs = [n for n, column in enumerate(self._columns) if isinstance(column.type, Blob)]
        self._booleans = [n for n, column in enumerate(self._columns) if isinstance(column.type, sa.Boolean)]
        self._documents = [n for n, column in enumerate(self._columns) if isinstance(column.type, Json)]

    @cached_property
    def references(self) -> list[Reference]:
        """Those of the table's foreign keys."""
        found = []
        for constraint in self._table.foreign_key_constraints:
            other = constraint.referred_table
            ours = [self.columns.index(column.name) for column in constraint.columns]
            names = [column.name for column in other.columns]
            theirs = [names.index(element.column.name) for element in constraint.elements]
            optional = [self.columns.index(column.name) for column in constraint.columns if column.nullable]
            found.append(Reference(ours, str(other.name), theirs, optional))
        return found

    def select(self, dialect: Dialect) -> str:
        """All rows, in any order."""
        return str(sa.select(*self._columns).compile(dialect=_DIALECTS[dialect]()))

    def insert(self, dialect: Dialect) -> str:
        """One row, whose values are bound in the order of the columns."""
        statement = sa.insert(self._table).values(
            {column.key: sa.bindparam(f"v{number}") for number, column in enumerate(self._columns)}
        )
        compiled = statement.compile(dialect=_DIALECTS[dialect]())
        expected = [f"v{number}" for number in range(len(self.columns))]
        assert list(compiled.positiontup or ()) == expected, "values are bound in the order of the columns"
        return str(compiled)

    def line(self, row: Sequence[Any]) -> bytes:
        """A row as one line of JSON, by the names of its columns; blobs are base64."""
        values = list(row)
        for number in self._booleans:
            values[number] = None if values[number] is None else bool(values[number])
        return _encode(dict(zip(self.columns, values, strict=True))) + b"\n"

    def row(self, line: bytes) -> list[Any]:
        """The values of a line in the order of the columns. Raises ArchiveDamaged."""
        try:
            fields = _decode(line, type=dict[str, Any])
            values = [fields[name] for name in self.columns]
            if len(fields) != len(values):
                raise ArchiveDamaged(f"a row of {self.name} has a column that the schema does not have")
            for number in self._blobs:
                if values[number] is not None:
                    values[number] = _decode(b'"%b"' % values[number].encode(), type=bytes)
        except (msgspec.DecodeError, KeyError, AttributeError) as error:
            raise ArchiveDamaged(f"a row of {self.name} cannot be read: {error}") from None
        return values

    def digest(self, row: Sequence[Any]) -> int:
        """A number that rows of equal values have in common, whatever spaces a database puts into JSON."""
        values = list(row)
        for number in self._booleans:
            values[number] = None if values[number] is None else bool(values[number])
        for number in self._documents:
            values[number] = None if values[number] is None else _canonical(values[number])
        return int.from_bytes(hashlib.sha256(_encode(values)).digest(), "big")


class RowSum:
    """Counts rows and adds their digests."""

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def add(self, digest: int) -> None:
        self.rows += 1
        self._sum = (self._sum + digest) % (1 << DIGEST_BITS)

    @property
    def digest(self) -> str:
        return f"{self._sum:064x}"


def _canonical(document: str) -> bytes:
    """A JSON document with sorted names and without spaces; a whole number has one form."""
    return msgspec.json.encode(_plain(_decode(document.encode("utf-8", "surrogatepass"))), order="sorted")


def _plain(value: Any) -> Any:
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {name: _plain(item) for name, item in value.items()}
        case list():
            return [_plain(item) for item in value]
    return value


def row_formats(revision: str = HEAD) -> list[RowFormat]:
    """Every table as it was at a known revision, those that others refer to first.

    Migrations only add tables and columns, so that an earlier revision has some of today's.
    """
    if revision == HEAD:
        return [RowFormat(table) for table in metadata.sorted_tables]
    from schema.migrate import columns_at  # takes a second, so only for what is older

    columns = columns_at(revision)
    known = [table for table in metadata.sorted_tables if table.name in columns]
    return [RowFormat(table, columns[table.name]) for table in known]
