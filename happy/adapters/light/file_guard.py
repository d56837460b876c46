"""Detects that the open database files were deleted or replaced, so that a restart would not find them."""

import errno
import logging
import os
from pathlib import Path
from typing import Final

BESIDE: Final = ("", "-wal", "-shm")
"""What belongs to a database in write-ahead-log mode, as suffixes of its name."""

GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE})
Identity = tuple[int, int] | None

log = logging.getLogger(__name__)


class FileGuard:
    """A deleted file accepts writes while it is open: acknowledged data would be lost at the restart.

    `lost` describes the problem, or is None; `check` is called by the writer thread only.
    """

    def __init__(self, path: Path) -> None:
        """Create it after the first read of a connection: from then on the WAL files exist."""
        self._log = f"{path}-wal"
        self._opened = [(file, _identity(file)) for file in (f"{path}{suffix}" for suffix in BESIDE)]
        self.lost: str | None = None
        self.log_alone = False
        """Only the write-ahead log was deleted: a checkpoint can still save its contents."""

    def check(self) -> str | None:
        """The problem, or None. Logged when it begins and when it ends."""
        changed = [file for file, opened in self._opened if _has_changed(file, opened)]
        if not changed and self.lost is None:
            return None
        lost = _description(changed[0]) if changed else None
        self.log_alone = changed == [self._log]
        if lost != self.lost:
            self.lost = lost
            if lost is None:
                log.warning("the database file is back: writes are taken again")
            else:
                log.error("%s: no writes are taken; put it back or restore a backup, then restart", lost)
        return lost


def _description(file: str) -> str:
    return f"{file} was {'replaced' if Path(file).exists() else 'deleted'} while the server runs"


def _has_changed(file: str, opened: Identity) -> bool:
    try:
        return _identity(file) != opened
    except OSError:  # the disk has errors: writes will fail themselves
        return False


def _identity(file: str) -> Identity:
    """Device and inode of the file; None if there is none."""
    try:
        status = os.stat(file)  # noqa: PTH116 - after every commit, and a `Path` costs more than the call
    except OSError as error:
        if error.errno in GONE:
            return None
        raise
    return status.st_dev, status.st_ino
