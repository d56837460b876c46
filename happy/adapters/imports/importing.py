"""One import: read the source, say what would come, then take it."""

import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Final

from msgspec import Struct

from happy.adapters.backup_storage import open_local
from happy.adapters.disk_files import DiskFiles
from happy.adapters.file_system import make_private_folder
from happy.adapters.imports.files import FileLoading, files_of_archive, files_of_store, open_source_files
from happy.adapters.imports.loading import Loading
from happy.adapters.imports.outcome import Outcome
from happy.adapters.imports.secrets import SourceSecret, judge
from happy.adapters.imports.sources import POSTGRES, Staged, stage
from happy.adapters.imports.staging import open_whole, scratch_folder
from happy.adapters.imports.target import ImportTarget, LookingOnly, NothingYet
from happy.adapters.secrets import read_secrets
from happy.domain.ports.filestore import FileStore
from happy.domain.progress import Progress, Step
from happy.domain.values import Millis
from happy.settings import S3, Full, Light

NO_FILES: Final = "uploaded files: --files names their folder or bucket, now or later"


class Source(Struct, frozen=True):
    """What was read from the source."""

    staged: Staged
    connection: sqlite3.Connection
    secret: SourceSecret
    files: Path | S3 | None
    """A folder or bucket; those of an archive are in it."""

    notes: list[str]
    """What is not taken, each in a few words."""


@asynccontextmanager
async def open_source(
    settings: Light | Full, source: str, files: Path | S3 | None, progress: Progress
) -> AsyncIterator[Source]:
    """Read all of it into a scratch file. Raises SourceRefused, ArchiveDamaged, StartupError, OSError."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(scratch_folder(_room(settings)))
        if not source.startswith(POSTGRES):
            opening = open_local(source, settings.backups.store, progress, folder)
            source = str(await stack.enter_async_context(opening))
        staged = await stage(source, folder, progress)
        connection, orphans = open_whole(staged.path)
        with closing(connection):
            found = files or staged.files
            missing = [] if found or staged.archive else [NO_FILES]
            yield Source(
                staged,
                connection,
                judge(connection, read_secrets(settings)),
                found,
                [*staged.notes, *orphans, *missing],
            )


def _room(settings: Light | Full) -> Path:
    """Where there is room for a copy: beside the light database, else in the folder for temporary files."""
    if isinstance(settings, Light) and settings.data_dir.is_dir():
        return settings.data_dir
    return Path(tempfile.gettempdir())


async def plan(settings: Light | Full, source: Source, progress: Progress) -> Outcome:
    """What would come; nothing is changed. Raises StartupError, Unavailable."""
    async with AsyncExitStack() as stack:
        target: ImportTarget = NothingYet()
        if not await _is_empty(settings):
            target = LookingOnly(await stack.enter_async_context(_open_target(settings)))
        if isinstance(settings, Full) and isinstance(settings.files, S3):
            files = await stack.enter_async_context(_open_files(settings))
        else:
            files = DiskFiles(_files_folder(settings), "")
        return await _load(settings, source, target, files, progress, copy=False)


async def run(settings: Light | Full, source: Source, now: Millis, progress: Progress) -> Outcome:
    """Take it, beside a running server if there is one.

    Raises StartupError, Conflict, Unavailable, OSError.
    """
    if await _is_empty(settings):
        await _make_database(settings, now)
    async with _open_target(settings) as target, _open_files(settings) as files:
        return await _load(settings, source, target, files, progress, copy=True)


async def _load(
    settings: Light | Full,
    source: Source,
    target: ImportTarget,
    files: FileStore,
    progress: Progress,
    *,
    copy: bool,
) -> Outcome:
    doing = "importing rows" if copy else "comparing rows"
    loading = Loading(source.connection, target, progress, doing=doing)
    outcome = await loading.run()
    copying = FileLoading(source.connection, loading, files, progress, copy=copy)
    if source.files is not None:
        if source.files != _files_of(settings):
            async with open_source_files(source.files) as store:
                await copying.run(files_of_store(store), await _bytes_in(store, progress))
    elif source.staged.archive is not None:
        await copying.run(files_of_archive(source.staged.archive), source.staged.archive_bytes)
    return outcome


async def _bytes_in(store: FileStore, progress: Progress) -> int:
    """Of all its files."""
    total = looked_at = 0
    async for listed in store.list_all():
        total += listed.size
        looked_at += 1
        progress(Step("looking for files", looked_at, unit="file"))
    return total


def _files_of(settings: Light | Full) -> Path | S3:
    return settings.files_dir if isinstance(settings, Light) else settings.files


def _files_folder(settings: Light | Full) -> Path:
    folder = _files_of(settings)
    assert isinstance(folder, Path), "not an object store"
    return folder


async def _is_empty(settings: Light | Full) -> bool:
    if isinstance(settings, Light):
        from happy.adapters.light import imports as light

        return light.is_empty(settings.database)
    from happy.adapters.full.postgres import imports as postgres

    return await postgres.is_empty(settings.database_url)


async def _make_database(settings: Light | Full, now: Millis) -> None:
    if isinstance(settings, Light):
        from happy.adapters import light
        from happy.adapters.light.schema import prepare

        make_private_folder(settings.data_dir)
        make_private_folder(settings.database.parent)
        with light.exclusive_lock(settings.database):
            prepare(settings.database, now)
    else:
        from happy.adapters.full.postgres import schema

        await schema.prepare(settings.database_url)


@asynccontextmanager
async def _open_target(settings: Light | Full) -> AsyncIterator[ImportTarget]:
    if isinstance(settings, Light):
        from happy.adapters.light import imports as light

        async with light.open_target(settings.database) as target:
            yield target
    else:
        from happy.adapters.full.postgres import imports as postgres

        async with postgres.open_target(settings.database_url) as there:
            yield there


@asynccontextmanager
async def _open_files(settings: Light | Full) -> AsyncIterator[FileStore]:
    if isinstance(settings, Light):
        make_private_folder(settings.files_dir)
        yield DiskFiles(settings.files_dir, "")
    else:
        from happy.adapters.full import open_files

        async with open_files(settings) as files:
            yield files
