"""Builds light databases as other servers of this protocol leave them behind."""

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import cache, partial
from pathlib import Path
from typing import Any

from happy.adapters.light.adoption import tables

DDL = Path(__file__).with_suffix(".sql")
MOMENT = 1_732_286_231_123
PARENTS = {
    "accountId": "Account-id",
    "responseAccountId": "Account-id",
    "userId": "Account-id",
    "fromUserId": "Account-id",
    "toUserId": "Account-id",
    "githubUserId": "GithubUser-id",
    "sessionId": "Session-id",
    "machineId": "Machine-id",
}
VALUES: dict[str, Callable[[str, str], Any]] = {
    "TEXT": lambda table, column: PARENTS.get(column, f"{table}-{column}"),
    "INTEGER": lambda _table, _column: 7,
    "BIGINT": lambda _table, _column: 2**40,
    "BOOLEAN": lambda _table, _column: 1,
    "JSONB": lambda table, column: f'{{"t":"{table} {column}"}}',
    "BLOB": lambda table, column: f"{table}\0{column}".encode(),
    "DATETIME": lambda _table, _column: MOMENT,
}


@cache
def known_columns() -> dict[str, set[str]]:
    """Of each table, the columns that every server of this protocol has; other columns are ours."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(DDL.read_text())
        return {name: set(table.columns) for name, table in tables(db).items()}


def is_ours(table: str, column: str) -> bool:
    return column not in known_columns().get(table, {column})


def build(path: Path, *statements: str) -> None:
    """A database with one full row in each table, then changed by `statements`."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(DDL.read_text())
        db.execute("""INSERT INTO "_migrations" VALUES ('1', 'abc', 1700000000000, 'init')""")
        for name, table in tables(db).items():
            row = [VALUES[column.declared](name, key) for key, column in table.columns.items()]
            db.execute(f'INSERT INTO "{name}" VALUES ({", ".join("?" * len(row))})', row)
        for statement in statements:
            db.execute(statement)
        db.commit()


def rows(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in every table, bookkeeping included, but for the columns that we added."""
    with closing(sqlite3.connect(path)) as db:
        names = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
        return {name: _rows(db, name) for (name,) in names}


def _rows(db: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    columns = [f'"{name}"' for name in _columns(db, table) if not is_ours(table, name)]
    return db.execute(f'SELECT {", ".join(columns)} FROM "{table}"').fetchall()


def _columns(db: sqlite3.Connection, table: str) -> list[str]:
    return [name for _, name, *_ in db.execute(f'PRAGMA table_info("{table}")')]


def statements(path: Path) -> dict[str, str]:
    """The SQL that made each table and index, without our columns, if these may be left empty."""
    with closing(sqlite3.connect(path)) as db:
        made = dict(db.execute("SELECT name, sql FROM sqlite_master WHERE sql NOT NULL").fetchall())
        for name in made.keys() & known_columns().keys():
            for column in filter(partial(is_ours, name), _columns(db, name)):
                made[name] = re.sub(rf',\s+"?{column}"? \w+(?=\s*[,)])', "", made[name])
        return made
