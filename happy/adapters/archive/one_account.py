"""What belongs to one account, out of a database and a file store, for a backup of that account alone."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import sqlalchemy as sa

from happy.adapters.archive.rows import RowFormat
from happy.adapters.archive.writing import FileSource, RowSource
from happy.domain.ports.filestore import ListedObject, StoredFile
from schema.tables import accounts, github_users, metadata, session_messages, sessions, simple_caches

OWNERS: Final = ("account_id", "user_id")
SECRET: Final = "happy-server:master-secret"  # noqa: S105 - the name of a row with a fingerprint


class _RowsOfAccount(RowFormat):
    """A table of which only the rows of one account are selected."""

    def __init__(self, table: sa.Table, account: str) -> None:
        super().__init__(table)
        self._condition = _belongs(table, account)


def _belongs(table: sa.Table, account: str) -> sa.ColumnElement[bool]:
    """Friends are not in it: those rows belong to two people."""
    own_sessions = sa.select(sessions.c.id).where(sessions.c.account_id == account)
    linked = sa.select(accounts.c.github_user_id).where(accounts.c.id == account)
    conditions: dict[str, sa.ColumnElement[bool]] = {
        "Account": accounts.c.id == account,
        "GithubUser": github_users.c.id.in_(linked),
        "SessionMessage": session_messages.c.session_id.in_(own_sessions),
        "SimpleCache": simple_caches.c.key == SECRET,
        "happy_Announcement": sa.false(),
    }
    owner = next((table.c[name] for name in OWNERS if name in table.c), None)
    if table.name in conditions or owner is None:
        return conditions.get(table.name, sa.false())
    if "session_id" not in table.c:
        return owner == account
    of_no_session = table.c.session_id.is_(None)
    return sa.and_(owner == account, sa.or_(of_no_session, table.c.session_id.in_(own_sessions)))


class OneAccount:
    """Rows and files of one account; its rows are read before its files."""

    def __init__(self, account: str, rows: RowSource, files: FileSource) -> None:
        self._account = account
        self._rows = rows
        self._files = files
        self._folders = [f"public/users/{account}/"]

    async def rows(self, table: RowFormat) -> AsyncIterator[list[Sequence[Any]]]:
        chosen = _RowsOfAccount(metadata.tables[table.name], self._account)
        async for batch in self._rows.rows(chosen):
            if table.name == "Session":
                number = table.columns.index("id")
                self._folders += [f"sessions/{row[number]}/" for row in batch]
            yield batch

    async def count(self, table: RowFormat) -> int:
        return await self._rows.count(_RowsOfAccount(metadata.tables[table.name], self._account))

    async def list_all(self) -> AsyncIterator[ListedObject]:
        folders = frozenset(self._folders)
        async for listed in self._files.list_all():
            if any(f"{'/'.join(listed.key.split('/')[:depth])}/" in folders for depth in (2, 3)):
                yield listed

    async def open(self, key: str, offset: int = 0, length: int | None = None) -> StoredFile:
        return await self._files.open(key, offset, length)
