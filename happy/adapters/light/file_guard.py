"""Notices when the files that SQLite has open are no longer those that a restart would find."""

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
    """A deleted file takes writes for as long as it is open: they would be acknowledged into nothing.

    `lost` says what is wrong, or nothing; `check` belongs to the thread that writes.
    """

    def __init__(self, path: Path) -> None:
        """Once a connection has read something: the files beside the database are there from then on."""
        self._log = f"{path}-wal"
        self._opened = [(file, _identity(file)) for file in (f"{path}{suffix}" for suffix in BESIDE)]
        self.lost: str | None = None
        self.log_alone = False
        """Only the log of changes has gone, so that what it holds can still be saved."""

    def check(self) -> str | None:
        """What is wrong, if anything is. Said in the log when it begins and when it ends."""
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
    except OSError:  # the disk hangs or is full of errors: writes will tell
        return False


def _identity(file: str) -> Identity:
    """What the name leads to: nothing, or a file."""
    try:
        status = os.stat(file)  # noqa: PTH116 - after every commit, and a path costs more than the question
    except OSError as error:
        if error.errno in GONE:
            return None
        raise
    return status.st_dev, status.st_ino
