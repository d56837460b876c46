"""Values of other databases, as text, turned into those of rows here."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from happy.adapters.imports.errors import SourceRefused
from schema.types import Blob, Millis

Value = str | bool | None
"""As a dump holds it."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OCTAL: Final = re.compile(rb"\\(\\|[0-7]{3})")
_TRUTHS: Final = {"t": True, "true": True, "1": True, "f": False, "false": False, "0": False}
_DEFAULTS: Final[dict[str, Any]] = {"0": 0, "true": True, "false": False, "'pending'": "pending"}
"""Defaults of columns that rows of earlier versions lack, by how the schema writes them."""


class RowShape:
    """How rows of a table that have these columns become rows of ours. Raises SourceRefused."""

    def __init__(self, table: sa.Table, columns: Sequence[str]) -> None:
        self.unknown = [name for name in columns if name not in {column.name for column in table.columns}]
        self._name = table.name
        self._width = len(columns)
        self._parts = [self._part(column, columns) for column in table.columns]

    def row(self, values: Sequence[Value]) -> list[Any]:
        """Raises SourceRefused."""
        if len(values) != self._width:
            raise SourceRefused(f"a row of {self._name} has {len(values)} values for {self._width} columns")
        try:
            return [convert(values) for convert in self._parts]
        except (ValueError, TypeError, OverflowError) as error:
            raise SourceRefused(f"a row of {self._name} cannot be read: {error}") from None

    def _part(self, column: sa.Column[Any], columns: Sequence[str]) -> Callable[[Sequence[Value]], Any]:
        if column.name not in columns:
            default = default_of(column)
            return lambda _: default
        number, convert = columns.index(column.name), converter(column.type)
        return lambda values: None if (value := values[number]) is None else convert(value)


def default_of(column: sa.Column[Any]) -> Any:
    """What a row without this column gets. Raises SourceRefused when it must have one."""
    if column.nullable:
        return None
    written = getattr(getattr(column.server_default, "arg", None), "text", None)
    if written not in _DEFAULTS:
        raise SourceRefused(
            f"rows of {column.table.name} have no {column.name}: it is no database of this protocol"
        )
    return _DEFAULTS[written]


def converter(type_: Any) -> Callable[[Any], Any]:
    """Of the text of a value that is not null."""
    if isinstance(type_, Millis):
        return milliseconds
    if isinstance(type_, Blob):
        return octets
    if isinstance(type_, sa.Boolean):
        return _truth
    if isinstance(type_, sa.Integer):
        return int
    return str


def milliseconds(text: str) -> int:
    """Of a timestamp in UTC, or of milliseconds. Raises ValueError."""
    if text.lstrip("-").isdecimal():
        return int(text)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // timedelta(milliseconds=1)


def octets(text: str) -> bytes:
    """Of both forms in which PostgreSQL writes bytea. Raises ValueError."""
    if text.startswith("\\x"):
        return bytes.fromhex(text[2:])
    return _OCTAL.sub(lambda found: _octet(found.group(1)), text.encode())


def _octet(escape: bytes) -> bytes:
    return b"\\" if escape == b"\\" else bytes([int(escape, 8)])


def _truth(value: Value) -> bool:
    found = _TRUTHS.get(str(value).lower())
    if found is None:
        raise ValueError(f"{str(value)[:20]!r} is neither true nor false")
    return found
