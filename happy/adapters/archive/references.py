"""Checks that every row refers to rows that are there, without a database."""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from happy.adapters.archive.format import ArchiveDamaged, Dangling
from happy.adapters.archive.rows import RowFormat
from happy.domain.amounts import counted

Key = tuple[str, tuple[int, ...]]
"""A table, and the numbers of columns that others refer to."""


PARTS: Final = 256


class Hashes:
    """A set of 64-bit numbers in 8 bytes each, a tenth of what a `set` needs.

    All are added before the first is looked for; to add more later is right, and slow.
    """

    def __init__(self) -> None:
        self._parts = [array("q") for _ in range(PARTS)]
        self._sorted = True

    def add(self, number: int) -> None:
        self._parts[number % PARTS].append(number)
        self._sorted = False

    def __contains__(self, number: int) -> bool:
        if not self._sorted:
            self._parts = [array("q", sorted(part)) for part in self._parts]
            self._sorted = True
        part = self._parts[number % PARTS]
        index = bisect_left(part, number)
        return index < len(part) and part[index] == number


class References:
    """Keeps a number of 8 bytes for each row that can be referred to: 8 MB for a million of them.

    Rows that others refer to come first.
    """

    def __init__(self, tables: list[RowFormat]) -> None:
        self._keys: dict[Key, Hashes] = {}
        for table in tables:
            for reference in table.references:
                self._keys[reference.table, tuple(reference.theirs)] = Hashes()
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
