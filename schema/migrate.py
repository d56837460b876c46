"""Run, check and write migrations; `python -m schema.migrate new "what it does"` starts one."""

import io
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, event, pool
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from schema import comparison

HERE = Path(__file__).parent
LOCK_TIMEOUT = 30.0  # seconds to wait for another writer of a SQLite file
FORMATTER = {
    "post_write_hooks": {
        "hooks": "ruff",
        "ruff.type": "module",
        "ruff.module": "ruff",
        "ruff.options": "format --no-force-exclude REVISION_SCRIPT_FILENAME",
    }
}


def config(connection: Connection | None = None) -> Config:
    """The Alembic configuration, with paths relative to this module."""
    found = Config()
    found.set_main_option("script_location", str(HERE / "migrations").replace("%", "%%"))
    found.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    found.set_main_option("path_separator", "os")
    if connection is not None:
        found.attributes["connection"] = connection
    return found


def scripts() -> ScriptDirectory:
    """The migrations."""
    return ScriptDirectory.from_config(config())


def revisions() -> tuple[str, ...]:
    """Every revision, oldest first."""
    return tuple(reversed([script.revision for script in scripts().walk_revisions()]))


def upgrade(connection: Connection, revision: str = "head", *, online: bool = False) -> None:
    """To a revision. `online`: on a connection without a transaction, while servers use the database."""
    settings = config(connection)
    settings.attributes["online"] = online
    command.upgrade(settings, revision)


def downgrade(connection: Connection, revision: str) -> None:
    command.downgrade(config(connection), revision)


def stamp(connection: Connection, revision: str) -> None:
    """Record that the database is at `revision` without running anything."""
    command.stamp(config(connection), revision)


def check(connection: Connection) -> None:
    """Raises when the database differs from `schema.tables`; prints nothing."""
    quiet = config(connection)
    quiet.stdout = io.StringIO()
    command.check(quiet)


def columns_at(revision: str) -> dict[str, set[str]]:
    """The columns that each table has at a revision, by their names."""
    with sqlite_connection(Path(":memory:")) as connection:
        upgrade(connection, revision)
        db = driver_connection(connection)
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: {column for (column,) in db.execute("SELECT name FROM pragma_table_info(?)", (name,))}
            for name in names
        }


def check_later(connection: Connection) -> None:
    """Raises when a database that a later version migrated lacks something of `schema.tables`."""
    if missing := comparison.lacks(connection):
        raise CommandError("; ".join(missing))


@contextmanager
def sqlite_connection(path: Path) -> Iterator[Connection]:
    """One transaction on the file, DDL included, committed on leaving. Raises the driver's own errors."""
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(url, poolclass=pool.NullPool, connect_args={"timeout": LOCK_TIMEOUT})
    event.listen(engine, "connect", _manual_transactions)
    event.listen(engine, "begin", _begin)
    try:
        with engine.begin() as connection:
            yield connection
    except DBAPIError as error:
        raise (error.orig or error) from error
    finally:
        engine.dispose()


def driver_connection(connection: Connection) -> sqlite3.Connection:
    found = connection.connection.driver_connection
    assert isinstance(found, sqlite3.Connection)
    return found


def new(message: str) -> None:
    """Generate the next revision from the differences between `schema.tables` and the migrations."""
    settings = config()
    settings.file_config.read_dict(FORMATTER)
    with (
        tempfile.TemporaryDirectory() as folder,
        sqlite_connection(Path(folder) / "empty.sqlite") as connection,
    ):
        settings.attributes["connection"] = connection
        command.upgrade(settings, "head")
        command.revision(settings, message, autogenerate=True, rev_id=f"{len(revisions()) + 1:04}")


def main(arguments: Sequence[str]) -> int:
    match arguments:
        case ["new", message]:
            new(message)
            return 0
        case _:
            print(__doc__, file=sys.stderr)
            return 2


def _manual_transactions(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
