"""What an import can read, distinguished by how it begins, and how each becomes a scratch file."""

import asyncio
import gzip
import sqlite3
import time
from pathlib import Path
from typing import IO, Final, cast

from msgspec import Struct

from happy.adapters.archive.rows import row_formats
from happy.adapters.imports.errors import SourceRefused
from happy.adapters.imports.pglite import folder_of_postgres, refusal
from happy.adapters.imports.sql_dump import SqlDump
from happy.adapters.imports.staging import Staging
from happy.adapters.imports.tables import LEFT_OUT
from happy.adapters.imports.values import RowShape
from happy.domain.amounts import counted
from happy.domain.errors import StartupError
from happy.domain.progress import Progress, Step
from happy.domain.values import Millis
from happy.settings import DATABASE_NAME
from schema import compatibility
from schema.tables import metadata

POSTGRES: Final = ("postgresql://", "postgres://")
SQLITE: Final = b"SQLite format 3\0"
ZSTD: Final = b"\x28\xb5\x2f\xfd"
GZIP: Final = b"\x1f\x8b"
CUSTOM_DUMP: Final = b"PGDMP"
BOOKKEEPING: Final = ("_", "alembic_", "sqlite_", compatibility.TABLE)
"""What the names of tables of migration tools begin with."""


class Staged(Struct, frozen=True):
    """A source whose rows are in the file at `path`."""

    kind: str
    path: Path
    notes: list[str]
    """What was in it and is not taken."""

    archive: Path | None = None
    files: Path | None = None
    """Where its uploaded files are: in that archive, or in that folder."""

    archive_bytes: int = 0
    """Of all files in the archive."""


async def stage(source: str, folder: Path, progress: Progress) -> Staged:
    """Read all of the source into a file in the folder. Raises SourceRefused, StartupError, OSError."""
    made = folder / "rows.sqlite"
    if source.startswith(POSTGRES):
        return await _stage_postgres(source, made, progress)
    path, files, begin = await asyncio.to_thread(_look_at, Path(source))
    if begin == SQLITE:
        await asyncio.to_thread(_stage_sqlite, path, made, progress)
        return Staged("a SQLite database", made, [], files=files)
    if begin.startswith(ZSTD):
        size = await _stage_archive(path, made, progress)
        return Staged("a backup", made, [], archive=path, archive_bytes=size)
    if begin.startswith(CUSTOM_DUMP):
        raise SourceRefused(
            "it is a dump in PostgreSQL's own form: `pg_restore --file=dump.sql FILE` makes SQL of it"
        )
    notes = await asyncio.to_thread(_stage_dump, path, made, progress, compressed=begin.startswith(GZIP))
    return Staged("a SQL dump", made, notes)


def _look_at(path: Path) -> tuple[Path, Path | None, bytes]:
    """The file with the rows, the folder of uploaded files, and how the former begins."""
    files = None
    if path.is_dir():
        path, files = _database_in(path)
    with path.open("rb") as file:
        return path, files, file.read(len(SQLITE))


def _database_in(folder: Path) -> tuple[Path, Path | None]:
    """The database in the data directory of a light server, and its files. Raises SourceRefused."""
    if (folder / DATABASE_NAME).is_file():
        files = folder / "files"
        return folder / DATABASE_NAME, files if files.is_dir() else None
    postgres = folder_of_postgres(folder)
    if postgres is not None:
        raise refusal(postgres)
    raise SourceRefused(f"there is no {DATABASE_NAME} in this folder")


def _stage_sqlite(path: Path, made: Path, progress: Progress) -> None:
    """A copy, taken over or migrated as a server would do with the file itself, which is not changed."""
    from happy.adapters.light.migration import copy_whole
    from happy.adapters.light.schema import prepare

    try:
        copy_whole(path, made, progress)
    except sqlite3.DatabaseError as error:
        raise SourceRefused(f"it cannot be read: {error}") from error
    try:
        prepare(made, Millis(time.time_ns() // 1_000_000))
    except StartupError as error:
        raise SourceRefused(str(error).replace(str(made), "it")) from error


async def _stage_archive(path: Path, made: Path, progress: Progress) -> int:
    """The bytes of its files. One of an earlier version is migrated on the way."""
    from happy.adapters.archive import restoring
    from happy.adapters.backups import verify
    from happy.adapters.light.backup import open_new

    verified = await asyncio.to_thread(verify, path, progress)
    async with open_new(made, verified[0].schema_revision) as target:
        await restoring.restore(path, verified, target, None, progress)
    return verified[1].file_bytes


async def _stage_postgres(url: str, made: Path, progress: Progress) -> Staged:
    try:
        from happy.adapters.full.postgres.imports import source_rows
    except ImportError:
        raise SourceRefused("PostgreSQL's driver is missing: install happy-server[full]") from None
    staging, count = Staging(made), 0
    async for table, batch in source_rows(url, row_formats()):
        await asyncio.to_thread(staging.add, table, [list(row) for row in batch])
        count += len(batch)
        progress(Step("reading rows", count))
    staging.finish()
    return Staged("a PostgreSQL database", made, [])


def _stage_dump(path: Path, made: Path, progress: Progress, *, compressed: bool) -> list[str]:
    formats = {table.name: table for table in row_formats()}
    staging, notes, shapes = Staging(made), _Notes(), dict[tuple[str, tuple[str, ...]], RowShape]()
    size = path.stat().st_size
    with path.open("rb") as file:
        dump = SqlDump(cast("IO[bytes]", gzip.open(file)) if compressed else file)  # noqa: SIM115
        for table, columns, rows in dump.batches():
            progress(Step("reading the dump", file.tell(), size, "byte"))
            if table not in formats:
                notes.unknown_table(table, len(rows))
                continue
            shape = shapes.get((table, columns))
            if shape is None:
                shape = shapes[table, columns] = RowShape(metadata.tables[table], columns)
                notes.unknown_columns(table, shape.unknown)
            staging.add(formats[table], [shape.row(row) for row in rows])
    staging.finish()
    if not {"Account", "Session"} & {table for table, _ in shapes}:
        raise SourceRefused("it has no accounts of this protocol")
    return notes.lines()


class _Notes:
    """What a dump has that is not taken."""

    def __init__(self) -> None:
        self._tables: dict[str, int] = {}
        self._columns: dict[str, None] = {}

    def unknown_table(self, name: str, rows: int) -> None:
        if not name.startswith(BOOKKEEPING):
            self._tables[name] = self._tables.get(name, 0) + rows

    def unknown_columns(self, table: str, columns: list[str]) -> None:
        if table not in LEFT_OUT:
            self._columns.update(dict.fromkeys(f"{table}.{column}" for column in columns))

    def lines(self) -> list[str]:
        tables = [
            f"{counted(rows, 'row')} of {name}, which this server does not have"
            for name, rows in self._tables.items()
        ]
        return [*tables, *(f"the column {name}, which this server does not have" for name in self._columns)]
