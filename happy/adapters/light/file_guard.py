"""Detects that the open database files were deleted, replaced or overwritten: a restart would lose data."""

import errno
import logging
import os
import time
from pathlib import Path
from typing import Final

BESIDE: Final = ("", "-wal", "-shm")
"""Suffixes of the files of a database in write-ahead-log mode."""

GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE})
MAGIC: Final = b"SQLite format 3\0"
COUNTERS: Final = (slice(24, 28), slice(60, 64))
"""In the header of a database, big-endian: SQLite's change counter, and `user_version`, in which the writer
counts. They never decrease, not even in a VACUUM.
"""

SETTLED_NS: Final = 1_000_000_000
"""Two changes of a folder may have the same time if they are closer than this."""

Identity = tuple[int, int] | None

log = logging.getLogger(__name__)


class FileGuard:
    """A deleted file accepts writes while it is open: acknowledged data would be lost at the restart.

    `lost` describes the problem, or is None; `check` is called by the writer thread only.
    """

    def __init__(self, path: Path) -> None:
        """Create it after the first read of a connection: from then on the WAL files exist."""
        self._path = path
        self.folder = path.absolute().parent
        self._folder = str(self.folder)
        self._log = f"{path}-wal"
        self._opened = [(file, _identity(file)) for file in (f"{path}{suffix}" for suffix in BESIDE)]
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._untouched: tuple[int, int] | None = None
        self._counters = [0, 0]
        self._header = b""  # as it was when it was looked at last
        self._overwritten = False
        self.lost: str | None = None
        self.only_log_deleted = False
        """Only the write-ahead log was deleted: a checkpoint can still save its contents."""

    def is_untouched(self) -> bool:
        """Whether nothing can have happened since the last `check`: one look at the folder and the file.

        Files that are deleted or replaced change the time of their folder.
        """
        return (
            self._untouched is not None
            and self._untouched == self._folder_state()
            and not self._is_overwritten()
        )

    def _folder_state(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._folder)  # noqa: PTH116 - after every commit
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns

    def check(self) -> str | None:
        """The problem, or None. Logged when it begins and when it ends."""
        state = self._folder_state()
        lost = self._check()
        is_old = state is not None and state[1] < time.time_ns() - SETTLED_NS
        self._untouched = state if is_old and lost is None else None
        return lost

    def _check(self) -> str | None:
        changed = [file for file, opened in self._opened if _has_changed(file, opened)]
        overwritten = not changed and self._is_overwritten()
        if not changed and not overwritten and self.lost is None:
            return None
        lost = None
        if changed or overwritten:
            fate = f"{changed[0]} was {_fate(changed[0])}" if changed else f"{self._path} was overwritten"
            lost = f"{fate} while the server runs"
        self.only_log_deleted = changed == [self._log]
        if lost != self.lost:
            self.lost = lost
            if lost is None:
                log.warning("the database file is back: writes are taken again")
            else:
                log.error("%s: no writes are taken; %s", lost, self._remedy())
        return lost

    def close(self) -> None:
        """Call it after SQLite's connections are closed: it releases all locks of the process on the file."""
        os.close(self._file)

    def _remedy(self) -> str:
        if not self._overwritten:
            return "put it back or restore a backup, then restart"
        return (
            "the rest of the write-ahead log may still get into it: stop the server, "
            f"delete {self._log} and {self._path}-shm, copy the file once more, then start"
        )

    def _is_overwritten(self) -> bool:
        """Whether an older copy, or something else, was written into the file. That is never undone."""
        if not self._overwritten:
            try:
                header = os.pread(self._file, COUNTERS[-1].stop, 0)
            except OSError:  # the disk has errors: writes will fail themselves
                return False
            if header == self._header:
                return False
            counters = [int.from_bytes(header[each], "big") for each in COUNTERS]
            foreign = self._counters[0] > 0 and not header.startswith(MAGIC)
            older = any(now < before for now, before in zip(counters, self._counters, strict=True))
            self._overwritten = foreign or older
            if not self._overwritten:
                self._counters, self._header = counters, header
        return self._overwritten


def _fate(file: str) -> str:
    return "replaced" if Path(file).exists() else "deleted"


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
