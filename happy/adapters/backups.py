"""Makes, checks and restores backups of the flavor that the settings are for."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct

from happy import __version__, crypto
from happy.adapters import backup_storage as storage
from happy.adapters.archive import restoring
from happy.adapters.archive.format import FORMAT, FORMAT_VERSION, SUFFIX, Header, Manifest
from happy.adapters.archive.one_account import OneAccount
from happy.adapters.archive.reading import Verification, read_secret
from happy.adapters.archive.writing import Backup, Sink
from happy.adapters.file_system import make_private_folder
from happy.adapters.secrets import read_secrets
from happy.crypto import passphrase as passphrases
from happy.domain.errors import StartupError
from happy.domain.ports.filestore import FileStore
from happy.domain.progress import Progress, silent
from happy.domain.values import Millis
from happy.settings import S3, Full, Light
from schema.revisions import HEAD

AskPassphrase = Callable[[], str]
Verified = tuple[Header, Manifest]
"""Of an archive that was read from its beginning to its end."""


def name_of(settings: Light | Full, now: Millis) -> str:
    """What a backup in a folder is called; names sort by time."""
    return f"happy-{flavor_of(settings)}-{datetime.fromtimestamp(now / 1000, UTC):%Y%m%dT%H%M%SZ}{SUFFIX}"


def export_name(account: str, now: Millis) -> str:
    """What a backup of one account is called, which nobody takes for one of everything."""
    return f"happy-account-{account}-{datetime.fromtimestamp(now / 1000, UTC):%Y%m%dT%H%M%SZ}{SUFFIX}"


class Made(Struct, frozen=True):
    """A backup: where it is, its size in bytes, what is in it, and whether that includes files."""

    where: str
    size: int
    manifest: Manifest
    has_files: bool


class Contents(Struct, frozen=True):
    """Whether the files of an object store are copied, and what seals the master secret into the backup."""

    with_files: bool = False
    passphrase: str | None = None
    """None: the secret is not in it."""

    account: str | None = None
    """The id of an account that alone is in it, with its files; None: everything."""


async def backup(
    settings: Light | Full,
    target: str,
    now: Millis,
    contents: Contents,
    progress: Progress,
    *,
    checked: bool = False,
) -> Made:
    """Write a backup of everything into a folder, a file, an object store (`s3://`) or a stream (`-`).

    Servers go on meanwhile. A file that is `checked` is verified before it gets its name.
    Raises ArchiveDamaged, StartupError, Unavailable, or OSError.
    """
    check = (lambda path: Verification(path).run()) if checked else None
    name = name_of(settings, now) if contents.account is None else export_name(contents.account, now)
    opening = storage.open_new(target, name, settings.backups.store, check)
    async with opening as (file, where):
        manifest, size = await write(settings, file, now, contents, progress)
    return Made(where, size, manifest, _copies_files(settings, contents))


async def write(
    settings: Light | Full, target: Sink, now: Millis, contents: Contents, progress: Progress
) -> tuple[Manifest, int]:
    """The backup as it is written, and its size in bytes. Raises as `backup` does."""
    found = read_secrets(settings)
    secret = None if found is None else found.current
    passphrase = contents.passphrase
    if passphrase is not None and secret is None:
        raise StartupError("there is no master secret that could be put into the backup")
    header = Header(
        format=FORMAT,
        format_version=FORMAT_VERSION,
        server_version=__version__,
        schema_revision=HEAD,
        flavor=flavor_of(settings),
        created_at=now,
        secret_fingerprint="" if secret is None else crypto.Keyring(secret).fingerprint,
        with_files=_copies_files(settings, contents),
    )
    sealed = None
    if passphrase is not None and found is not None and secret is not None:
        sealed = passphrases.seal("\n".join((secret, *found.previous)), passphrase)
    async with _open_rows(settings, progress) as rows, _open_files(settings) as files:
        making = Backup(target, header, progress)
        if contents.account is None:
            return await making.write(rows, files, sealed)
        only = OneAccount(contents.account, rows, files)
        return await making.write(only, only, sealed)


def verify(path: Path, progress: Progress = silent) -> tuple[Header, Manifest]:
    """Read all of a backup. Raises ArchiveDamaged, or ArchiveTooNew."""
    return Verification(path, progress).run()


async def verify_source(
    source: str, store: S3 | None, progress: Progress, *, deep: bool
) -> tuple[Header, Manifest]:
    """The same of a file, an object (`s3://`) or a stream (`-`); `deep` also restores it and compares.

    Raises ArchiveDamaged, StartupError, or OSError.
    """
    async with storage.open_local(source, store, progress) as path:
        verified = await asyncio.to_thread(verify, path, progress)
        if deep:
            await _verify_deep(path, verified, progress)
    return verified


async def _verify_deep(path: Path, verified: Verified, progress: Progress) -> None:
    """Restore into a scratch database and compare every row. Raises StartupError."""
    from happy.adapters.light.backup import open_new

    with _scratch_folder(path.parent) as folder:
        async with open_new(Path(folder) / "scratch.sqlite", verified[0].schema_revision) as target:
            await restoring.restore(path, verified, target, None, progress)


def _scratch_folder(beside: Path) -> "tempfile.TemporaryDirectory[str]":
    """Beside the archive, where large ones have room; among temporary files if that folder is read-only."""
    prefix = ".happy-verify-"
    try:
        return tempfile.TemporaryDirectory(dir=beside, prefix=prefix)
    except OSError:
        return tempfile.TemporaryDirectory(prefix=prefix)


async def restore(
    settings: Light | Full, source: str, into_file: Path | None, prompt: AskPassphrase, progress: Progress
) -> tuple[Header, Manifest]:
    """Restore into the empty database and folders of the settings, or only the rows into an SQLite file.

    After an error nothing is changed. Raises ArchiveDamaged, StartupError, or OSError.
    """
    async with storage.open_local(source, settings.backups.store, progress) as path:
        verified = await asyncio.to_thread(verify, path, progress)
        if into_file is None:
            await _restore(settings, path, verified, prompt, progress)
        else:
            await _restore_into_file(path, into_file, verified, progress)
    return verified


async def _restore(
    settings: Light | Full,
    path: Path,
    verified: Verified,
    prompt: AskPassphrase,
    progress: Progress,
) -> None:
    header, _ = verified
    secret = await asyncio.to_thread(_secret_for, settings, path, header, prompt)
    async with _open_target(settings, header.schema_revision) as target, _open_files(settings) as files:
        store_secret = partial(_store_secret, settings, secret)
        await restoring.restore(path, verified, target, files, progress, store_secret)


async def _restore_into_file(path: Path, file: Path, verified: Verified, progress: Progress) -> None:
    from happy.adapters.light.backup import open_new

    async with open_new(file, verified[0].schema_revision) as target:
        await restoring.restore(path, verified, target, None, progress)


def _secret_for(settings: Light | Full, path: Path, header: Header, prompt: AskPassphrase) -> str | None:
    """The secret that is to be put into the data directory, if any. Raises StartupError for a wrong one."""
    found = read_secrets(settings)
    if not header.secret_fingerprint:
        return None
    needed = f"the backup was made with master secret {crypto.key_id_of(header.secret_fingerprint)}"
    if found is not None:
        known = [crypto.Keyring(secret).fingerprint for secret in (found.current, *found.previous)]
        if header.secret_fingerprint not in known:
            raise StartupError(
                f"{needed}, and {found.source} holds {crypto.key_id_of(known[0])}: set the right one, "
                "or every device would have to sign in again"
            )
        return None
    sealed = read_secret(path)
    if sealed is None:
        raise StartupError(f"{needed}, which is not in it: set HANDY_MASTER_SECRET to that secret first")
    secret = passphrases.unseal(sealed, prompt())
    if secret is None:
        raise StartupError("this passphrase does not open the master secret in the backup")
    return secret


def _store_secret(settings: Light | Full, secret: str | None) -> None:
    if secret is None:
        return
    assert isinstance(settings, Light), "settings of the full flavor always have a secret"
    from happy.adapters.light import secret as secret_file

    current, *previous = secret.split("\n")
    secret_file.store(settings.data_dir, current, previous)


def flavor_of(settings: Light | Full) -> str:
    return "light" if isinstance(settings, Light) else "full"


def _copies_files(settings: Light | Full, contents: Contents) -> bool:
    return contents.with_files or contents.account is not None or not _has_object_store(settings)


def _has_object_store(settings: Light | Full) -> bool:
    return isinstance(settings, Full) and not isinstance(settings.files, Path)


@asynccontextmanager
async def _open_rows(settings: Light | Full, progress: Progress) -> AsyncIterator[Any]:
    async with AsyncExitStack() as stack:
        if isinstance(settings, Light):
            from happy.adapters.light import backup as light

            yield await stack.enter_async_context(light.open_rows(settings.database, progress))
        else:
            from happy.adapters.full.postgres import backup as postgres

            yield await stack.enter_async_context(postgres.open_rows(settings.database_url))


@asynccontextmanager
async def _open_target(settings: Light | Full, revision: str) -> AsyncIterator[Any]:
    async with AsyncExitStack() as stack:
        if isinstance(settings, Light):
            from happy.adapters import light
            from happy.adapters.light.backup import open_new

            make_private_folder(settings.data_dir)
            make_private_folder(settings.database.parent)
            stack.enter_context(light.exclusive_lock(settings.database))
            yield await stack.enter_async_context(open_new(settings.database, revision))
        else:
            from happy.adapters.full.postgres import backup as postgres
            from happy.adapters.full.postgres import schema
            from happy.adapters.full.running import require_none

            await require_none(settings)
            await schema.prepare(settings.database_url)
            yield await stack.enter_async_context(postgres.open_new(settings.database_url, revision))


@asynccontextmanager
async def _open_files(settings: Light | Full) -> AsyncIterator[FileStore]:
    async with AsyncExitStack() as stack:
        if isinstance(settings, Light):
            from happy.adapters.disk_files import DiskFiles

            yield DiskFiles(settings.files_dir, "")
        else:
            from happy.adapters.full import open_files

            yield await stack.enter_async_context(open_files(settings))
