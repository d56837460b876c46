"""SQL that was compiled ahead of time, and the rows it returns as structs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from operator import itemgetter
from pathlib import Path
from types import UnionType
from typing import Any, Generic, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

import schema
from happy.domain.listing import Large
from schema.limits import LARGE_ROW, LIST_BYTES

Row = TypeVar("Row")
COMPILED = Path(schema.__file__).parent / "compiled"
DISCARDED_BYTES = 8 * LIST_BYTES
"""In bytes: contents of large rows that a list may read and discard, where sizes are not known before."""

CONVERSIONS: Mapping[Any, Callable[[Any], Any]] = {bool: bool, msgspec.Raw: msgspec.Raw}


class Compiled(msgspec.Struct, frozen=True):
    """One statement for one database. `parameters` are in the order of `$1, $2, ...` on PostgreSQL."""

    sql: str
    parameters: tuple[str, ...]
    lists: frozenset[str] = frozenset()


@cache
def statements(dialect: str) -> Mapping[str, Compiled]:
    """Every statement of `schema/queries`, by `<module>.<NAME>`."""
    return msgspec.json.decode((COMPILED / f"{dialect}.json").read_bytes(), type=dict[str, Compiled])


class Statement(Generic[Row]):
    """A compiled statement and what its rows become: a struct, or for `Scalar` the only column."""

    def __init__(self, name: str, row: Callable[..., Row]) -> None:
        self.name = name
        self._row = row
        self._conversions = _conversions(row)

    def compiled(self, dialect: str) -> Compiled:
        return statements(dialect)[self.name]

    def rows(self, fetched: Sequence[Any]) -> list[Row]:
        """Structs of raw driver rows: booleans of SQLite are converted, JSON remains text."""
        make = self._row
        if not self._conversions:
            return [make(*row) for row in fetched]
        converted = []
        for row in fetched:
            values = list(row)
            for position, convert in self._conversions:
                if values[position] is not None:
                    values[position] = convert(values[position])
            converted.append(make(*values))
        return converted


class Listing(Generic[Row]):
    """A compiled list (`schema/listings.py`): rows as structs, and instead of large ones only their keys.

    `key` and `contents` are fields of the struct.
    """

    def __init__(self, name: str, row: type[Row], key: str, *contents: str) -> None:
        fields = row.__struct_fields__  # type: ignore[attr-defined]
        self.statement = Statement(name, row)
        self.keys: Statement[str | int] = Statement(f"{name}_KEYS", scalar)
        self._key = fields.index(key)
        self._contents = tuple(fields.index(content) for content in contents)
        self._first = itemgetter(self._contents[0])
        self._largest = [itemgetter(position) for position in self._contents[:2]]

    def rows(self, fetched: Sequence[Any]) -> list[Row | Large]:
        """Structs of raw driver rows, in which the contents of large rows are null."""
        made = self.statement.rows(fetched)
        if None not in map(self._first, fetched):
            return made  # type: ignore[return-value] # the list is not shared
        return [
            Large(raw[self._key]) if self._first(raw) is None else row
            for raw, row in zip(fetched, made, strict=True)
        ]

    def size(self, fetched: Sequence[Any]) -> int:
        """The size in bytes of large columns, of rows that are not large."""
        return sum(sum(map(len, filter(None, map(content, fetched)))) for content in self._largest)

    def take(self, fetching: Iterable[Any]) -> tuple[list[Any], bool]:
        """Rows up to the size limit of a list, and whether these are all."""
        taken: list[Any] = []
        small = large = 0
        for row in fetching:
            size = sum(len(row[content] or ()) for content in self._contents)
            if size <= LARGE_ROW:
                taken.append(row)
                small += size
            else:
                taken.append(self._without_contents(row))
                large += size
            if small > LIST_BYTES or large > DISCARDED_BYTES:
                return taken, False
        return taken, True

    def _without_contents(self, row: Any) -> tuple[Any, ...]:
        return tuple(None if position in self._contents else value for position, value in enumerate(row))


def scalar(value: Row) -> Row:
    """The row of a statement that returns one column."""
    return value


def _conversions(row: Callable[..., Any]) -> list[tuple[int, Callable[[Any], Any]]]:
    if not isinstance(row, type) or not issubclass(row, msgspec.Struct):
        return []
    hints = get_type_hints(row)
    kinds = [_plain(hints[name]) for name in row.__struct_fields__]
    return [(position, CONVERSIONS[kind]) for position, kind in enumerate(kinds) if kind in CONVERSIONS]


def _plain(hint: Any) -> Any:
    """`T` of `T | None`."""
    if get_origin(hint) not in (Union, UnionType):
        return hint
    return next(kind for kind in get_args(hint) if kind is not type(None))


class Executor(Protocol):
    """Runs statements on one connection of one driver."""

    async def one(self, statement: Statement[Row], **values: Any) -> Row | None: ...

    async def all(self, statement: Statement[Row], **values: Any) -> list[Row]: ...

    async def listed(self, listing: Listing[Row], **values: Any) -> list[Row | Large]: ...

    async def execute(self, statement: Statement[Any], **values: Any) -> None: ...

    async def execute_many(self, statement: Statement[Any], rows: Sequence[Mapping[str, Any]]) -> None: ...
