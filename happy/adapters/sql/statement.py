"""SQL that was compiled ahead of time, and the rows it returns as structs."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Generic, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

import schema

Row = TypeVar("Row")
COMPILED = Path(schema.__file__).parent / "compiled"
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
        """Structs of raw driver rows: SQLite knows no booleans, and JSON stays the text it is."""
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

    async def run(self, statement: Statement[Any], **values: Any) -> None: ...

    async def many(self, statement: Statement[Any], rows: Sequence[Mapping[str, Any]]) -> None: ...
