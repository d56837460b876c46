"""Backups that a running server makes: in a process of low priority, so that clients do not wait for it."""

import asyncio
import logging
import os
import pickle
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

import happy
from happy.adapters import backup_storage as storage
from happy.adapters.archive.format import SUFFIX
from happy.adapters.backup_process import MODULE, Done, Job
from happy.adapters.backups import flavor_of
from happy.domain.backups import BackupFailed, BackupRecord, StoredBackup
from happy.domain.errors import StartupError
from happy.domain.values import Millis
from happy.settings import Full, Light

NAME: Final = re.compile(rf"happy-(light|full)-(\d{{8}}T\d{{6}}Z){re.escape(SUFFIX)}", re.ASCII)
log = logging.getLogger(__name__)
END_SECONDS: Final = 5.0
"""How long the process may take to remove what it has begun, in s."""


def open_storage(settings: Light | Full, target: str) -> "FolderBackups | StoreBackups":
    """Where the settings say; nothing is opened before the first backup."""
    address = storage.address_of(target)
    return FolderBackups(settings, Path(target)) if address is None else StoreBackups(settings, address)


class FolderBackups:
    """In a folder, which is made if only it is missing: a disk that is not mounted is an error."""

    def __init__(self, settings: Light | Full, folder: Path) -> None:
        self._settings = settings
        self._folder = folder

    async def make(self, now: Millis) -> BackupRecord:
        with _failures():
            await asyncio.to_thread(self._folder.mkdir, 0o700, exist_ok=True)
        return await _make(self._settings, str(self._folder), now)

    async def list(self) -> list[StoredBackup]:
        with _failures():
            names = await asyncio.to_thread(os.listdir, self._folder)
        return list(_named(self._settings, names))

    async def delete(self, name: str) -> None:
        with _failures():
            await asyncio.to_thread(os.unlink, self._folder / name)


class StoreBackups:
    """In an object store, below a prefix."""

    def __init__(self, settings: Light | Full, address: storage.Address) -> None:
        self._settings = settings
        self._bucket = address.bucket
        self._prefix = address.key if address.key.endswith("/") or not address.key else f"{address.key}/"

    async def make(self, now: Millis) -> BackupRecord:
        return await _make(self._settings, f"{storage.OBJECT_STORE}{self._bucket}/{self._prefix}", now)

    async def list(self) -> list[StoredBackup]:
        with _failures():
            async with self._open() as archives:
                await archives.abort_abandoned(self._prefix)
                found = await archives.list(self._prefix)
        names = [stored.key.removeprefix(self._prefix) for stored in found]
        return list(_named(self._settings, names))

    async def delete(self, name: str) -> None:
        with _failures():
            async with self._open() as archives:
                await archives.delete(self._prefix + name)

    def _open(self) -> Any:
        return storage.open_store(self._settings.backups.store, self._bucket)


async def _make(settings: Light | Full, target: str, now: Millis) -> BackupRecord:
    began = time.monotonic()
    done = await _run(Job(settings, target, now))
    for line in done.warnings:
        log.warning("the backup is not complete: %s", line)
    elapsed = int((time.monotonic() - began) * 1000)
    return BackupRecord(made_at=now, name=done.name, bytes=done.size, milliseconds=elapsed)


async def _run(job: Job) -> Done:
    """The process ends when this one does: it reads the job from a pipe, and then waits for its end."""
    folder = str(Path(happy.__file__).parents[1])
    process = await asyncio.create_subprocess_exec(
        *_low_priority(),
        *(sys.executable, "-m", MODULE),
        env={**os.environ, "PYTHONPATH": os.pathsep.join((folder, os.environ.get("PYTHONPATH", "")))},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        with suppress(ConnectionError):
            process.stdin.write(pickle.dumps(job))
            await process.stdin.drain()
        out, err = await asyncio.gather(process.stdout.read(), process.stderr.read())
        await process.wait()
    finally:
        await asyncio.shield(_end(process))
    if process.returncode == 0:
        return msgspec.json.decode(out, type=Done)
    lines = (out or err).decode(errors="replace").strip().splitlines()
    raise BackupFailed(lines[-1] if lines else f"its process ended with {process.returncode}")


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), END_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()


def _low_priority() -> list[str]:
    """Programs that start another one with less of CPU and disk than the server has.

    A tenth of a busy core, not only what is left over: on a machine that is always busy it would never end.
    """
    found = [("ionice", "-c2", "-n7"), ("nice", "-n10")]
    return [
        word
        for program, *options in found
        if (path := shutil.which(program)) is not None
        for word in (path, *options)
    ]


def _named(settings: Light | Full, names: list[str]) -> Iterator[StoredBackup]:
    """Backups of this flavor by their usual name; all other files are nobody's business here."""
    for name in names:
        found = NAME.fullmatch(name)
        if found is not None and found[1] == flavor_of(settings):
            time_of = datetime.strptime(found[2], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            yield StoredBackup(name, Millis(int(time_of.timestamp() * 1000)))


@contextmanager
def _failures() -> Iterator[None]:
    """Raises BackupFailed instead of OSError and StartupError."""
    try:
        yield
    except StartupError as error:
        raise BackupFailed(str(error)) from None
    except OSError as error:
        raise BackupFailed(f"{error.filename}: {error.strerror}") from None
