"""Uploads that grow until they are complete, each locked by the process that writes it."""

import errno
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

NAME: Final = ".incoming"
"""The folder of uploads. No key of a file leads there."""

PREFIX: Final = "locked-"
"""Uploads of earlier releases, which have no locks, have other names."""

ABANDONED: Final = 24 * 3600
"""The age in s at which an upload is deleted that cannot be locked."""

HELD: Final = frozenset({errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES})


class IncomingFiles:
    """Several processes may share the folder: what a killed one has left is not locked any more."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / NAME

    def begin(self) -> IO[bytes]:
        """An empty file; it is another's to delete as soon as it is closed."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._gate(fcntl.LOCK_SH):
            file = tempfile.NamedTemporaryFile(dir=self._folder, prefix=PREFIX, delete=False)  # noqa: SIM115
            _lock(file.fileno(), fcntl.LOCK_EX)
        return file

    def sweep(self) -> int:
        """Delete the uploads that no process writes any more; returns how many. Raises OSError."""
        if not self._folder.is_dir():
            return 0
        with self._gate(fcntl.LOCK_EX) as gated:
            return sum(_delete_abandoned(path, by_lock=gated) for path in self._folder.iterdir())

    @contextmanager
    def _gate(self, how: int) -> Iterator[bool]:
        """Between its creation and its lock an upload looks as if it was left behind: nobody sweeps then.

        It is a lock of the folder; False where there are none.
        """
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield _flock(descriptor, how)
        finally:
            os.close(descriptor)


def _flock(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how)
    except OSError:
        return False
    return True


def _lock(descriptor: int, how: int) -> bool | None:
    """Whether the file is locked now; None where there are no locks."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in HELD else None
    return True


def _delete_abandoned(path: Path, *, by_lock: bool) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, IsADirectoryError):
        return False
    try:
        by_lock = by_lock and path.name.startswith(PREFIX)
        locked = _lock(descriptor, fcntl.LOCK_EX) if by_lock else None
        old = os.fstat(descriptor).st_mtime < time.time() - ABANDONED
        abandoned = old if locked is None else locked
        if abandoned:
            path.unlink(missing_ok=True)
        return abandoned
    finally:
        os.close(descriptor)
