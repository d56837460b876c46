"""Rows of every table of the schema as lines of JSON, and back; the same for both databases."""

import base64
import hashlib
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from happy.adapters.archive.format import ArchiveDamaged
from schema.revisions import HEAD
from schema.tables import metadata
from schema.types import Blob, Json, Millis

Dialect = Literal["postgresql", "sqlite"]
DIGEST_BITS: Final = 256
LARGE: Final = 250_000
"""Bytes of a value that is not copied where that can be avoided."""

BASE64_PIECE: Final = 3 * 64 * 1024
"""Divisible by 3, so that pieces need no padding."""

_DIALECTS: Final[dict[Dialect, Any]] = {
    "postgresql": postgresql.asyncpg.dialect,
    "sqlite": sqlite.dialect,
}
_ENCODER: Final = msgspec.json.Encoder()
_encode = _ENCODER.encode
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
        self.times = [n for n, column in enumerate(self._columns) if isinstance(column.type, Millis)]
        """The numbers of columns with times in ms."""

        self._selected: list[sa.ColumnElement[Any]] = list(self._columns)
        self._condition: sa.ColumnElement[bool] = sa.true()

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
        """All rows that are meant, in any order."""
        return _text(self._select(*self._selected, where=self._condition), dialect)

    def _select(self, *columns: sa.ColumnElement[Any], where: sa.ColumnElement[bool]) -> sa.Select[Any]:
        selected = sa.select(*columns).select_from(self._table)
        return selected if where is sa.true() else selected.where(where)

    def select_row_ids(self) -> str:
        """In PostgreSQL, the id of each row (`tableoid`, `ctid`), and about how many bytes it has.

        No large value is read for that. Of JSON it is the compressed size, of all else the whole one.
        """
        row_id: list[Any] = [sa.literal_column(f"{name}::text") for name in ("tableoid", "ctid")]
        sizes = [sa.func.coalesce(_size_of(column), sa.literal_column("0")) for column in self._sized()]
        total = sum(sizes, start=sa.literal_column("0", sa.BigInteger))
        return _text(self._select(*row_id, total, where=self._condition), "postgresql")

    def select_by_row_ids(self) -> str:
        """The rows of one table with such ids, given as texts: its `tableoid`, and an array of `ctid`."""
        here = sa.literal_column("tableoid = $1::text::oid AND ctid = ANY($2::text[]::tid[])", sa.Boolean)
        return _text(self._select(*self._selected, where=here), "postgresql")

    def _sized(self) -> list[sa.Column[Any]]:
        """Columns that hold more than a few bytes."""
        return [column for column in self._columns if isinstance(column.type, sa.Text | Blob | Json)]

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
        return bytes(self.lines([row]))

    def lines(self, rows: Iterable[Sequence[Any]]) -> bytearray:
        """A line for each of them."""
        lines = bytearray()
        for row in rows:
            values = list(row)
            for number in self._booleans:
                values[number] = None if values[number] is None else bool(values[number])
            _ENCODER.encode_into(dict(zip(self.columns, values, strict=True)), lines, -1)
            lines += b"\n"
        return lines

    def row(self, line: bytes | memoryview) -> list[Any]:
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
        return int.from_bytes(_sha256(values), "big")


def _text(statement: sa.Select[Any], dialect: Dialect) -> str:
    compiled = statement.compile(dialect=_DIALECTS[dialect](), compile_kwargs={"literal_binds": True})
    return str(compiled)


def _size_of(column: sa.Column[Any]) -> Any:
    return sa.func.pg_column_size(column) if isinstance(column.type, Json) else sa.func.octet_length(column)


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


def _sha256(values: list[Any]) -> bytes:
    """Of the values as JSON, whose blobs are base64: of large ones a piece at a time."""
    if not any(isinstance(value, bytes) and len(value) > LARGE for value in values):
        return hashlib.sha256(_encode(values)).digest()
    digest = hashlib.sha256()
    for number, value in enumerate(values):
        digest.update(b"," if number else b"[")
        if isinstance(value, bytes):
            digest.update(b'"')
            for start in range(0, len(value), BASE64_PIECE):
                digest.update(base64.b64encode(value[start : start + BASE64_PIECE]))
            digest.update(b'"')
        else:
            digest.update(_encode(value))
    digest.update(b"]")
    return digest.digest()


def _canonical(document: str) -> bytes:
    """A JSON document with sorted names and without spaces; a whole number has one form."""
    text = document if document.isascii() else document.encode("utf-8", "surrogatepass")
    return msgspec.json.encode(_plain(_decode(text)), order="sorted")


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
