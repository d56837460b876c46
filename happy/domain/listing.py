"""Lists in which some rows are too large to be read with the others."""

from collections.abc import Sequence
from typing import TypeGuard, TypeVar

from msgspec import Struct

T = TypeVar("T")


class Large(Struct, frozen=True):
    """A placeholder for a row that has to be read by itself; `key` is its key."""

    key: str | int


def is_whole(rows: Sequence[T | Large]) -> TypeGuard[list[T]]:
    """Whether every row has been read."""
    return Large not in map(type, rows)
