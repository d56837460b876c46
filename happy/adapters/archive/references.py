"""Checks that every row refers to rows that are there, without a database."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from happy.adapters.archive.format import ArchiveDamaged, Dangling
from happy.adapters.archive.rows import RowFormat
from happy.domain.amounts import counted

Key = tuple[str, tuple[int, ...]]
"""A table, and the numbers of columns that others refer to."""


class References:
    """Keeps a number of 8 bytes for each row that can be referred to: about 60 MB for a million of them.

    Rows that others refer to come first.
    """

    def __init__(self, tables: list[RowFormat]) -> None:
        self._keys: dict[Key, set[int]] = {}
        for table in tables:
            for reference in table.references:
                self._keys[reference.table, tuple(reference.theirs)] = set()
        self._left_out: Counter[tuple[str, str]] = Counter()
        self._emptied: Counter[tuple[str, str]] = Counter()

    def mend(self, table: RowFormat, row: Sequence[Any]) -> Sequence[Any] | None:
        """The row if what it refers to is there; without a reference that may be empty; else None.

        A report of usage whose session is gone loses only the session, a message whose session is gone is
        left out, and so is what refers to what was left out.
        """
        for reference in table.references:
            values = tuple(row[number] for number in reference.ours)
            if None in values or hash(values) in self._keys[reference.table, tuple(reference.theirs)]:
                continue
            pair = (table.name, reference.table)
            if not reference.optional:
                self._left_out[pair] += 1
                return None
            self._emptied[pair] += 1
            row = [None if number in reference.optional else value for number, value in enumerate(row)]
        for (name, key), known in self._keys.items():
            if name == table.name:
                known.add(hash(tuple(row[number] for number in key)))
        return row

    def dangling(self) -> list[Dangling]:
        """What was mended, by table."""
        return [
            *(Dangling(*pair, rows, emptied=False) for pair, rows in self._left_out.items()),
            *(Dangling(*pair, rows, emptied=True) for pair, rows in self._emptied.items()),
        ]

    def require_all(self) -> None:
        """Raises ArchiveDamaged if a row had to be mended: whoever wrote the archive would have done it."""
        found = self.dangling()
        if found:
            one = found[0]
            rows = counted(one.rows, "row")
            raise ArchiveDamaged(f"it has no row of {one.parent} for {rows} of {one.table}")
