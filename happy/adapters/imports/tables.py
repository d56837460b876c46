"""Which rows an import takes, whose they are, and what makes two rows the same."""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from happy.adapters.archive.rows import RowFormat
from schema.tables import metadata

OWN_RULES: Final = ("GithubUser", "Account", "Session", "SessionMessage", "UserRelationship")
"""Tables that are not simply rows of one account."""

LEFT_OUT: Final = frozenset(
    {
        *("TerminalAuthRequest", "AccountAuthRequest"),  # under way for minutes: devices request it again
        *("happy_AuditEntry", "happy_RegistrationRequest", "happy_Invite", "happy_InviteOpening"),
        *("happy_Announcement", "happy_Backup"),
        *("GithubOrganization", "GlobalLock", "RepeatKey", "SimpleCache"),  # used by no request
    }
)
"""What is about a server and not about its accounts."""

VOLATILE: Final = frozenset(
    {
        *("updatedAt", "active", "lastActiveAt", "lastUsedAt", "lastNotifiedAt"),
        *("revision", "changedAt", "device", "address", "firstSeenAt", "lastSeenAt"),
    }
)
"""Columns that change by themselves while a server runs, as when a session falls silent."""

OURS: Final = "happy_"
DELETED_SESSIONS: Final = "deleted-sessions"
"""The account that owns sessions whose rows are still being removed."""

DELETED: Final = "deleted:"
BEGUN: Final = "importing:"
"""Before the id of an account, instead of its public key until all its rows are there: nobody can sign in."""


class ImportedTable(RowFormat):
    """A table whose rows are taken. Columns are meant by their numbers."""

    def __init__(self, table: sa.Table) -> None:
        super().__init__(table)
        self.key = [self.columns.index(column.name) for column in table.primary_key]
        self.unique_keys = [
            [self.columns.index(str(column.name)) for column in index.columns]
            for index in sorted(table.indexes, key=lambda index: str(index.name))
            if index.unique
        ]
        self._compared = [
            number
            for number, name in enumerate(self.columns)
            if name not in VOLATILE and not name.startswith(OURS)
        ]
        self._blank = set(range(len(self.columns))).difference(self._compared)

    @property
    def owner(self) -> str | None:
        """The column with the account's id."""
        return next((name for name in ("accountId", "userId") if name in self.columns), None)

    def read(self, row: Sequence[Any]) -> list[Any]:
        """A row as SQLite gives it, with truth values instead of numbers."""
        values = list(row)
        for number in self._booleans:
            values[number] = bool(values[number])
        return values

    def values(self, row: Sequence[Any], numbers: Sequence[int]) -> tuple[Any, ...]:
        return tuple(row[number] for number in numbers)

    def is_same(self, row: Sequence[Any], other: Sequence[Any]) -> bool:
        """Whether two rows differ in nothing but what changes by itself."""
        if any(row[number] != other[number] for number in self._compared):
            return self._digest(row) == self._digest(other)
        return True

    def _digest(self, row: Sequence[Any]) -> int:
        return self.digest([None if number in self._blank else value for number, value in enumerate(row)])


def imported_tables() -> dict[str, ImportedTable]:
    """By name, those that others refer to first."""
    return {
        table.name: ImportedTable(table) for table in metadata.sorted_tables if table.name not in LEFT_OUT
    }


def owned_tables(tables: dict[str, ImportedTable]) -> list[ImportedTable]:
    """Those whose rows each belong to one account, by a column of their own."""
    return [table for name, table in tables.items() if name not in OWN_RULES]
