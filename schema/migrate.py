"""Run, check and write migrations: `python -m schema.migrate upgrade|check|new "what it does"`.

`upgrade` and `check` take the database from DATABASE_URL, in SQLAlchemy's spelling
(`postgresql+asyncpg://...`, `sqlite+aiosqlite:///...`).
"""

import asyncio
import os
import re
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, pool
from sqlalchemy.engine import URL

HERE = Path(__file__).parent


def config(connection: Connection | None = None) -> Config:
    """The Alembic configuration, found beside this module wherever the package is installed."""
    found = Config()
    found.set_main_option("script_location", str(HERE / "migrations").replace("%", "%%"))
    found.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    found.set_main_option("path_separator", "os")
    if connection is not None:
        found.attributes["connection"] = connection
    return found


def revisions() -> tuple[str, ...]:
    """The whole history, oldest first."""
    scripts = ScriptDirectory.from_config(config())
    return tuple(reversed([script.revision for script in scripts.walk_revisions()]))


def upgrade(connection: Connection, revision: str = "head") -> None:
    command.upgrade(config(connection), revision)


def check(connection: Connection) -> None:
    """Raises when `schema.tables` says more, or less, than the database has."""
    command.check(config(connection))


@contextmanager
def sqlite_connection(path: Path) -> Iterator[Connection]:
    """One transaction on the file, DDL included; committed on leaving."""
    engine = create_engine(URL.create("sqlite", database=str(path)), poolclass=pool.NullPool)
    event.listen(engine, "connect", _manual_transactions)
    event.listen(engine, "begin", _begin)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _manual_transactions(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
