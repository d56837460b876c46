"""Brings the light database to the schema this version was built for, before anything else opens it."""

import logging
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import schema
from happy.adapters.file_system import sync_folder
from happy.adapters.light import adoption, migration
from happy.adapters.light.file_lock import locked
from happy.adapters.progress import Lines
from happy.domain.errors import StartupError
from happy.domain.progress import Progress
from happy.domain.values import Millis
from schema import compatibility
from schema.revisions import HEAD, REVISIONS

log = logging.getLogger(__name__)

SQLITE_HEADER = b"SQLite format 3\0"
BASE = REVISIONS[0]  # the schema of databases that other servers created
LOCK_TIMEOUT = 30.0  # seconds
LOCKS, SHARED_MEMORY = "its file system has no file locks", "its file system has no shared memory"
LACKING = {
    sqlite3.SQLITE_PROTOCOL: LOCKS,
    sqlite3.SQLITE_IOERR_LOCK: LOCKS,
    sqlite3.SQLITE_IOERR_RDLOCK: LOCKS,
    sqlite3.SQLITE_IOERR_UNLOCK: LOCKS,
    sqlite3.SQLITE_IOERR_CHECKRESERVEDLOCK: LOCKS,
    sqlite3.SQLITE_IOERR_SHMLOCK: LOCKS,
    sqlite3.SQLITE_IOERR_SHMMAP: SHARED_MEMORY,
    sqlite3.SQLITE_IOERR_SHMOPEN: SHARED_MEMORY,
    sqlite3.SQLITE_IOERR_SHMSIZE: SHARED_MEMORY,
}
"""File system features that SQLite needs and network shares may not have, by error code."""

MISSING = "there is no database {}: HAPPY_SERVER_LIGHT_DATA_DIR names its folder"
ADVICE = "set DATABASE_URL=file:<path on a local disk>; uploaded files need not be moved"


class Corrupt(StartupError):
    """The file is damaged, or is not a database."""


class SchemaTooNew(StartupError):
    """A later version has written this database."""


def prepare(path: Path, now: Millis, progress: Progress | None = None) -> str:
    """Create, migrate or adopt the database; nothing is changed when a StartupError is raised.

    Returns the revision then: this version's, or a later one that lets this version use the database.

    Safe to call from several processes at once. A database that is up to date costs one small read.
    """
    with startup_errors(path):
        if _revision(path) == HEAD:
            return HEAD
        with locked(path.with_name(f".{path.name}.migrating"), wait=True):
            _bring_up_to_date(path, now, progress or Lines(log.info))
    return require_usable(path)


def require_head(path: Path) -> None:
    """Raises StartupError unless the database is at the revision of this version."""
    with startup_errors(path):
        revision = _revision(path)
        if revision is not None and revision not in REVISIONS:
            raise _too_new(path, revision)
        if not path.exists():
            raise StartupError(MISSING.format(path))
        if revision != HEAD:
            raise StartupError(
                f"{path} has schema {revision or 'none'}, not {HEAD}: run `happy-server migrate`"
            )


def require_usable(path: Path) -> str:
    """The revision of the database: this version's, or a later one that lets this version use it.

    Raises StartupError.
    """
    with startup_errors(path):
        revision = _revision(path)
        if revision is None or revision in REVISIONS:
            require_head(path)
            return HEAD
        if not compatibility.usable(_oldest(path)):
            raise _too_new(path, revision)
        return revision


def verify(path: Path) -> str:
    """The revision, if the database has the schema of this version and nothing that only a later one may add.

    Raises StartupError; changes nothing.
    """
    revision = require_usable(path)
    with startup_errors(path):
        from alembic.util import CommandError

        from schema import migrate

        with migrate.sqlite_connection(path) as connection:
            try:
                (migrate.check if revision == HEAD else migrate.check_later)(connection)
            except CommandError as error:
                raise StartupError(f"{path} differs from schema {HEAD}: {error}") from error
    return revision


def survey(path: Path, tables: Iterable[str]) -> tuple[str | None, dict[str, int]]:
    """The revision, and the numbers of rows of those tables that exist. Raises StartupError."""
    with startup_errors(path):
        revision = _revision(path)
        if revision is not None and revision not in REVISIONS:
            require_usable(path)
        if not _has_content(path):
            return None, {}
        with closing(_open(path)) as db:
            present = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            counted = {
                table: db.execute(f"SELECT count(*) FROM {adoption.quote(table)}").fetchone()[0]  # noqa: S608
                for table in tables
                if table in present
            }
        return revision, counted


def _bring_up_to_date(path: Path, now: Millis, progress: Progress) -> None:
    match _revision(path):
        case None if not _has_content(path):
            _create(path)
        case None if _is_blank(path):
            with closing(_open(path)) as db:
                _fill(db)
        case None:
            _adopt(path)
        case revision if revision not in REVISIONS:
            log.warning(compatibility.WARNING, path, require_usable(path), HEAD)
        case revision if revision != HEAD:
            migration.migrate(path, revision, now, progress)


def _too_new(path: Path, revision: str) -> SchemaTooNew:
    return SchemaTooNew(
        f"{path} has schema {revision}, and this version knows none after {HEAD}:"
        " start the newer happy-server that wrote it, or choose another data directory"
    )


def _has_content(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _is_blank(path: Path) -> bool:
    """Whether the database has no table, as after a first start that was killed."""
    with closing(_open(path)) as db:
        return db.execute("SELECT 1 FROM sqlite_master").fetchone() is None


def _revision(path: Path) -> str | None:
    """The revision of the database; None if there is none, or if it has no revision."""
    if not _has_content(path):
        return None
    with path.open("rb") as file:
        if file.read(len(SQLITE_HEADER)) != SQLITE_HEADER:
            raise sqlite3.DatabaseError("the file is not a SQLite database")
    with closing(_open(path)) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
            return None
        row = db.execute("SELECT max(version_num) FROM alembic_version").fetchone()
        return None if row[0] is None else str(row[0])


def _oldest(path: Path) -> str | None:
    """The oldest revision whose code may use the database, if it says so."""
    with closing(_open(path)) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (compatibility.TABLE,)).fetchone():
            return None
        row = db.execute(compatibility.OLDEST).fetchone()
        return None if row[0] is None else str(row[0])


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=LOCK_TIMEOUT, isolation_level=None)


def _create(path: Path) -> None:
    for leftover in (path.with_name(f"{path.name}-{suffix}") for suffix in ("wal", "journal")):
        if _has_content(leftover):
            raise StartupError(
                f"{path} is missing but {leftover.name} is there: restore one, or move both away"
            )
    with migration.private_file(path.with_name(f".{path.name}.new")) as made:
        with closing(_open(made)) as db:
            _fill(db)
        migration.sync(made)
        made.replace(path)
    sync_folder(path.parent)


def _fill(db: sqlite3.Connection) -> None:
    script = (Path(schema.__file__).parent / "sqlite.sql").read_text("utf-8")
    db.executescript(f"BEGIN IMMEDIATE; {script} COMMIT;")


def _adopt(path: Path) -> None:
    from schema import migrate  # as above

    _check_integrity(path)
    with (
        migrate.sqlite_connection(Path(":memory:")) as reference,
        migrate.sqlite_connection(path) as connection,
    ):
        migrate.upgrade(reference, BASE)
        model, db = migrate.driver_connection(reference), migrate.driver_connection(connection)
        expected = adoption.tables(model)
        adoption.check(db, expected)
        adoption.normalise(db, expected)
        adoption.complete(db, model)
        migrate.stamp(connection, BASE)
        migrate.upgrade(connection)


def _check_integrity(path: Path) -> None:
    with closing(_open(path)) as db:
        found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)


@contextmanager
def startup_errors(path: Path) -> Iterator[None]:
    """Turn any error into a StartupError of one line, with a remedy."""
    try:
        yield
    except adoption.SchemaMismatch as error:
        raise adoption.SchemaMismatch(
            f"{path} is not a database of this protocol ({error}): move it or choose another data directory"
        ) from None
    except OSError as error:
        raise StartupError(f"cannot use {path}: {error.strerror or error}") from error
    except sqlite3.OperationalError as error:
        lacks = LACKING.get(getattr(error, "sqlite_errorcode", 0))
        advice = f" ({lacks}: {ADVICE})" if lacks else ""
        raise StartupError(f"cannot use {path}: {error}{advice}") from error
    except sqlite3.DatabaseError as error:
        raise Corrupt(
            f"{path} is damaged ({error}): restore a backup, or move it away to start afresh"
        ) from error
