"""Whether a file system takes more: what it says of itself, without a write."""

import errno
import os
from pathlib import Path
from typing import Final

from happy.domain.errors import Unavailable
from happy.limits import limit

MIN_FREE_BYTES = limit(
    4 * 1024 * 1024,
    "bytes that must be free where the database or the files are, for the server to be healthy",
    per="file system",
    then="`/health`: 503",
)

RESERVE_BYTES: Final = 64 * 1024 * 1024
"""What a backup keeps free on its file system, which may be that of the database."""


def require_room(where: int | Path, size: int) -> None:
    """Raises OSError unless so many bytes fit on that file system, and some more for others."""
    status = os.statvfs(where)
    if status.f_blocks > 0 and status.f_bavail * status.f_frsize < size + RESERVE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def require_space(folder: Path) -> None:
    """Raises Unavailable if the file system of the folder is full or read-only, or does not answer."""
    try:
        status = os.statvfs(folder)
    except OSError as error:
        raise Unavailable(f"{folder}: {error.strerror}") from error
    if status.f_flag & os.ST_RDONLY:
        raise Unavailable(f"the file system of {folder} is read-only")
    full = status.f_blocks > 0 and status.f_bavail * status.f_frsize < MIN_FREE_BYTES
    if full or (status.f_files > 0 and status.f_favail == 0):  # some report neither
        raise Unavailable(f"the file system of {folder} is full")
