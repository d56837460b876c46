"""Rows on their way into the database: compared with what is there, and added some at a time."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

from happy.adapters.imports.outcome import Outcome
from happy.adapters.imports.tables import ImportedTable
from happy.adapters.imports.target import Identity, ImportTarget, Row

BATCH_ROWS: Final = 500
BATCH_BYTES: Final = 1_000_000
SMALLEST_VALUE: Final = 8
"""In bytes: what a number counts for."""

RowKey = tuple[str, tuple[int, ...], tuple[Any, ...]]
"""A row by values of its columns: what others refer to."""


class Arrivals:
    """`begin_account` says whether the rows to come are of one that an earlier import has begun."""

    def __init__(self, target: ImportTarget, tables: dict[str, ImportedTable], outcome: Outcome) -> None:
        self._target = target
        self._tables = tables
        self._outcome = outcome
        self._waiting: dict[str, list[Row]] = {}
        self._rows = self._bytes = 0
        self._begun = False
        self._rejected: set[RowKey] = set()
        self._referred = {
            (reference.table, tuple(reference.theirs))
            for table in tables.values()
            for reference in table.references
        }

    def begin_account(self, *, begun: bool) -> None:
        self._begun = begun

    def reject(self, table: ImportedTable, row: Row) -> None:
        """Nothing that refers to this row is taken."""
        for name, columns in self._referred:
            if name == table.name:
                self._rejected.add((name, columns, table.values(row, columns)))

    def takes(self, name: str, key: str) -> bool:
        """Whether a row, by its id, was not rejected."""
        return (name, tuple(self._tables[name].key), (key,)) not in self._rejected

    async def add(self, table: ImportedTable, row: Row) -> None:
        self._waiting.setdefault(table.name, []).append(row)
        self._rows += 1
        self._bytes += sum(len(value) if isinstance(value, str | bytes) else SMALLEST_VALUE for value in row)
        if self._rows >= BATCH_ROWS or self._bytes >= BATCH_BYTES:
            await self.flush()

    async def flush(self, identity: Identity | None = None) -> None:
        """Add what is waiting in one transaction; then whoever else writes has as much time as it took."""
        if not self._waiting and identity is None:
            return
        began = time.monotonic()
        async with self._target.transaction():
            for name, table in self._tables.items():
                if name in self._waiting:
                    await self._take(table, self._waiting[name])
            if identity is not None:
                await self._target.identify(identity)
        self._waiting, self._rows, self._bytes = {}, 0, 0
        await asyncio.sleep(time.monotonic() - began)

    async def _take(self, table: ImportedTable, rows: Sequence[Row]) -> None:
        counts, new = self._outcome.of(table.name), []
        possible = [row for row in rows if not self._leads_nowhere(table, row)]
        here = {
            table.values(row, table.key): row
            for row in await self._target.existing(
                table, table.key, [table.values(row, table.key) for row in possible]
            )
        }
        takers = await self._takers(table, possible)
        for row in possible:
            found = here.get(table.values(row, table.key))
            if found is None:
                if (reason := self._taken_by(table, row, takers)) is None:
                    new.append(row)
                else:
                    self._conflict(table, row, reason)
            elif self._begun or table.is_same(found, row):
                counts.here += 1
            else:
                self._conflict(table, row, "it is here with other contents")
        if table.name == "happy_Revocation":
            new = [await self._renumbered(table, row) for row in new]
        refused = await self._target.insert(table, new)
        counts.new += len(new) - len(refused)
        for row, reason in refused:
            self._conflict(table, row, reason)

    def _leads_nowhere(self, table: ImportedTable, row: Row) -> bool:
        """Whether it is not taken because of what it refers to, or because it is being deleted."""
        refers = any(
            (to.table, tuple(to.theirs), table.values(row, to.ours)) in self._rejected
            for to in table.references
        )
        removed = (
            "happy_deletedAt" in table.columns and row[table.columns.index("happy_deletedAt")] is not None
        )
        if refers or removed:
            self.reject(table, row)
        return refers or removed

    async def _takers(
        self, table: ImportedTable, rows: Sequence[Row]
    ) -> dict[tuple[int, ...], dict[tuple[Any, ...], Row]]:
        """Rows that are here with the same values of unique columns, by these."""
        found = {}
        for columns in table.unique_keys:
            keys = [values for row in rows if None not in (values := table.values(row, columns))]
            rows_here = await self._target.existing(table, columns, keys) if keys else []
            found[tuple(columns)] = {table.values(row, columns): row for row in rows_here}
        return found

    def _taken_by(
        self, table: ImportedTable, row: Row, takers: dict[tuple[int, ...], dict[tuple[Any, ...], Row]]
    ) -> str | None:
        for columns, rows in takers.items():
            taker = rows.get(table.values(row, columns))
            if taker is not None:
                names = ", ".join(table.columns[number] for number in columns)
                return f"its {names} is that of {_in_words(table.values(taker, table.key))} here"
        return None

    def _conflict(self, table: ImportedTable, row: Row, reason: str) -> None:
        self._outcome.add_conflict(table.name, _in_words(table.values(row, table.key)), reason)
        self.reject(table, row)

    async def _renumbered(self, table: ImportedTable, row: Row) -> Row:
        revision = await self._target.next_revision()
        return [
            revision if name == "revision" else value for name, value in zip(table.columns, row, strict=True)
        ]


def _in_words(key: tuple[Any, ...]) -> str:
    return ", ".join(map(str, key))
