"""What an import did, or would do."""

from collections import Counter
from typing import Final

from msgspec import Struct, field

LISTED_CONFLICTS: Final = 1_000
"""How many conflicts are reported one by one; all are counted."""


class Conflict(Struct, frozen=True):
    """A row, or a file, that is not taken because of what is here."""

    table: str
    key: str
    reason: str


class Counts(Struct, rename="camel"):
    """Rows of one table, or files."""

    new: int = 0
    here: int = 0
    """The same is here already."""

    left_out: int = 0
    """They conflict, or belong to what does."""


class Outcome(Struct, rename="camel"):
    """Counts by table, in the order of the tables; `files` when there were any to look at."""

    tables: dict[str, Counts] = field(default_factory=dict)
    conflicts: list[Conflict] = field(default_factory=list)
    conflict_count: int = 0
    files: Counts = field(default_factory=Counts)

    def of(self, table: str) -> Counts:
        return self.tables.setdefault(table, Counts())

    def add_conflict(self, table: str, key: str, reason: str) -> None:
        self.conflict_count += 1
        if len(self.conflicts) < LISTED_CONFLICTS:
            self.conflicts.append(Conflict(table, key, reason))

    @property
    def is_nothing_new(self) -> bool:
        return not self.files.new and not any(counts.new for counts in self.tables.values())

    def totals(self) -> Counter[str]:
        """All rows together."""
        totals: Counter[str] = Counter()
        for counts in self.tables.values():
            totals.update(new=counts.new, here=counts.here, left_out=counts.left_out)
        return totals
