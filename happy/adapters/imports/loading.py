"""Adds the rows of a source to a database, account by account, and never overwrites what is there.

An account that is not here yet is added without its key and names (`BEGUN`), then its rows, at last its key
and names. So nobody signs in to a part of an account, and an import that was killed finds where it was.
An account that is here with other contents is a conflict: all its rows are left out.
"""

import sqlite3
from collections.abc import Iterator
from typing import Any, Final

from happy.adapters.imports.arrivals import Arrivals
from happy.adapters.imports.outcome import Outcome
from happy.adapters.imports.tables import (
    BEGUN,
    DELETED,
    DELETED_SESSIONS,
    ImportedTable,
    imported_tables,
    owned_tables,
)
from happy.adapters.imports.target import Identity, ImportTarget, Row
from happy.domain.progress import Progress, Step

COUNT: Final = 'SELECT count(*) FROM "{}"'  # formatted with names of our own schema


class Loading:
    """One import from the connection to a scratch file."""

    def __init__(
        self, source: sqlite3.Connection, target: ImportTarget, progress: Progress, *, doing: str
    ) -> None:
        self._doing = doing
        self.outcome = Outcome()
        self._source = source
        self._target = target
        self._progress = progress
        self._tables = imported_tables()
        self._owned = owned_tables(self._tables)
        self._accounts = self._tables["Account"]
        (self._id,) = self._accounts.key
        self._arrivals = Arrivals(target, self._tables, self.outcome)
        self._done = 0
        self._stored = {name: source.execute(COUNT.format(name)).fetchone()[0] for name in self._tables}
        self._total = sum(self._stored.values())

    async def run(self) -> Outcome:
        """Raises StartupError, Unavailable."""
        for row in self._rows(self._accounts, 'ORDER BY "id"'):
            account = dict(zip(self._accounts.columns, row, strict=True))
            if account["id"] == DELETED_SESSIONS or account["publicKey"].startswith((DELETED, BEGUN)):
                self._arrivals.reject(self._accounts, row)
            else:
                await self._account(row, account)
        self._arrivals.begin_account(begun=False)
        for row in self._rows(self._tables["UserRelationship"], ""):
            await self._add(self._tables["UserRelationship"], row)
        await self._arrivals.flush()
        self._count_the_rest()
        return self.outcome

    def takes(self, account_id: str, session_id: str | None = None) -> bool:
        """Whether what belongs to an account, or to its session, is taken. Known after `run`."""
        return self._arrivals.takes("Account", account_id) and (
            session_id is None or self._arrivals.takes("Session", session_id)
        )

    async def _account(self, row: Row, account: dict[str, Any]) -> None:
        begun, problem = await self._look_at(row, account)
        if problem is not None:
            self.outcome.add_conflict("Account", account["id"], problem)
            self._arrivals.reject(self._accounts, row)
            self.outcome.of("Account").left_out += 1
            return
        self._arrivals.begin_account(begun=begun is True)
        for linked in self._of("GithubUser", "id", account["githubUserId"]):
            await self._add(self._tables["GithubUser"], linked)
        if begun is None:
            hidden = {"publicKey": f"{BEGUN}{account['id']}", "username": None, "githubUserId": None}
            await self._add(self._accounts, [{**account, **hidden}[name] for name in self._accounts.columns])
        else:
            counts = self.outcome.of("Account")
            counts.new, counts.here = counts.new + begun, counts.here + (not begun)
        await self._belongings(account["id"])
        identity = Identity(account["id"], account["publicKey"], account["username"], account["githubUserId"])
        await self._arrivals.flush(None if begun is False else identity)

    async def _look_at(self, row: Row, account: dict[str, Any]) -> tuple[bool | None, str | None]:
        """Whether it is here: None no, True begun, False whole; and why it cannot be taken."""
        for key in self._accounts.unique_keys:
            values = self._accounts.values(row, key)
            names = ", ".join(self._accounts.columns[number] for number in key)
            for found in await self._target.existing(self._accounts, key, [] if None in values else [values]):
                if found[self._id] != account["id"]:
                    return None, f"its {names} is that of account {found[self._id]} here"
        if await self._was_deleted(account["id"]):
            return None, "it was deleted here"
        here = await self._target.existing(self._accounts, self._accounts.key, [(account["id"],)])
        if not here:
            return None, None
        if here[0][self._accounts.columns.index("publicKey")] == f"{BEGUN}{account['id']}":
            return True, None
        return False, None if self._accounts.is_same(here[0], row) else "it is here with other contents"

    async def _was_deleted(self, account_id: str) -> bool:
        table = self._tables["happy_Revocation"]
        found = await self._target.existing(table, table.key, [(f"account:{account_id}",)])
        return any(row[table.columns.index("deletedAt")] is not None for row in found)

    async def _belongings(self, account_id: str) -> None:
        after = [table for table in self._owned if table.name in ("AccessKey", "UsageReport")]
        for table in self._owned:
            if table not in after:
                await self._add_all(table, account_id)
        messages = self._tables["SessionMessage"]
        for session in self._of("Session", "accountId", account_id):
            await self._add(self._tables["Session"], session)
            for message in self._rows(messages, 'WHERE "sessionId" = ? ORDER BY "seq"', session[0]):
                await self._add(messages, message)
        for table in after:
            await self._add_all(table, account_id)

    async def _add_all(self, table: ImportedTable, account_id: str) -> None:
        assert table.owner is not None, f"{table.name} belongs to accounts"
        for row in self._of(table.name, table.owner, account_id):
            await self._add(table, row)

    async def _add(self, table: ImportedTable, row: Row) -> None:
        await self._arrivals.add(table, row)
        self._done += 1
        self._progress(Step(self._doing, self._done, self._total))

    def _of(self, name: str, column: str, value: Any) -> Iterator[Row]:
        return self._rows(self._tables[name], f'WHERE "{column}" = ?', value)

    def _rows(self, table: ImportedTable, condition: str, *values: Any) -> Iterator[Row]:
        """One by one: some have 16 MB."""
        yield from map(table.read, self._source.execute(f"{table.select('sqlite')} {condition}", values))

    def _count_the_rest(self) -> None:
        """Rows of accounts that conflict or are being deleted, and rows that belong to none."""
        for name, stored in self._stored.items():
            if stored:
                counts = self.outcome.of(name)
                counts.left_out = stored - counts.new - counts.here
