"""Checks that every row refers to rows that are there, without a database."""

from collections.abc import Sequence
from typing import Any

from happy.adapters.archive.format import ArchiveDamaged
from happy.adapters.archive.rows import RowFormat

Key = tuple[str, tuple[int, ...]]
"""A table, and the numbers of columns that others refer to."""


class References:
    """Keeps a number of 8 bytes for each row that can be referred to: about 60 MB for a million of them."""

    def __init__(self, tables: list[RowFormat]) -> None:
        self._keys: dict[Key, set[int]] = {}
        for table in tables:
            for _, other, columns in table.references:
                self._keys[other, tuple(columns)] = set()
        self._missing: tuple[str, str] | None = None

    def add(self, table: RowFormat, row: Sequence[Any]) -> None:
        """Rows that others refer to come first. Messages follow their session, in any order."""
        for (name, key), known in self._keys.items():
            if name == table.name:
                known.add(hash(tuple(row[number] for number in key)))
        for ours, other, theirs in table.references:
            values = tuple(row[number] for number in ours)
            if None not in values and hash(values) not in self._keys[other, tuple(theirs)]:
                self._missing = self._missing or (table.name, other)

    def require_all(self) -> None:
        """Raises ArchiveDamaged."""
        if self._missing is not None:
            raise ArchiveDamaged("a row of {} refers to one of {} that is not there".format(*self._missing))
