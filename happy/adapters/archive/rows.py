"""Rows of every table of the schema as lines of JSON, and back; the same for both databases."""

import hashlib
from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from happy.adapters.archive.format import ArchiveDamaged
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


class RowFormat:
    """How rows of one table are selected, written, read and inserted."""

    def __init__(self, table: sa.Table) -> None:
        self.name = table.name
        self._table = table
        self.columns = [column.name for column in table.columns]
        self._blobs = [n for n, column in enumerate(table.columns) if isinstance(column.type, Blob)]
        self._booleans = [n for n, column in enumerate(table.columns) if isinstance(column.type, sa.Boolean)]
        self._documents = [n for n, column in enumerate(table.columns) if isinstance(column.type, Json)]

    @property
    def references(self) -> list[tuple[list[int], str, list[int]]]:
        """Columns that refer to a row of another table, that table, and the columns there; by number."""
        found = []
        for constraint in self._table.foreign_key_constraints:
            other = constraint.referred_table
            ours = [self.columns.index(column.name) for column in constraint.columns]
            names = [column.name for column in other.columns]
            found.append((ours, other.name, [names.index(e.column.name) for e in constraint.elements]))
        return found

    def select(self, dialect: Dialect) -> str:
        """All rows, in any order."""
        return str(sa.select(self._table).compile(dialect=_DIALECTS[dialect]()))

    def insert(self, dialect: Dialect) -> str:
        """One row, whose values are bound in the order of the columns."""
        statement = sa.insert(self._table).values(
            {column.key: sa.bindparam(f"v{number}") for number, column in enumerate(self._table.columns)}
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


def row_formats() -> list[RowFormat]:
    """Every table, those that others refer to first."""
    return [RowFormat(table) for table in metadata.sorted_tables]
