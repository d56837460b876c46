"""File permissions, syncing and file system types, also on memory cards, network shares and NAS boxes."""

import contextlib
import errno
import logging
import os
from pathlib import Path
from typing import Final

from happy.domain.errors import StartupError

UNABLE: Final = frozenset(
    {
        errno.EINVAL,
        errno.ENOTSUP,
        errno.EOPNOTSUPP,
        errno.ENOSYS,
        errno.EBADF,
        errno.EACCES,
        errno.EPERM,
        errno.EISDIR,
    }
)
"""Error numbers of operations that a file system does not support."""

PRIVATE: Final = 0o700
OTHERS: Final = 0o077
NETWORK: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre"})
NETWORK_HELPERS: Final = ("fuse.sshfs", "fuse.rclone", "fuse.s3", "fuse.glusterfs")
MOUNTS: Final = Path("/proc/self/mountinfo")

log = logging.getLogger(__name__)


def make_private_folder(folder: Path) -> None:
    """Create a folder that only its owner can read, where permissions exist; an existing one is not changed.

    Raises StartupError.
    """
    try:
        made = not folder.exists()
        folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        if made and folder.stat().st_mode & OTHERS:
            log.warning("others on this machine may read %s: its file system keeps no permissions", folder)
    except OSError as error:
        raise StartupError(f"cannot use {folder}: {error.strerror}") from None


def make_private(file: Path) -> None:
    """Make a file readable by its owner only, or log a warning."""
    if not file.stat().st_mode & OTHERS:
        return
    with contextlib.suppress(OSError):
        file.chmod(0o600)
    if file.stat().st_mode & OTHERS:
        log.warning("others on this machine may read %s: its file system keeps no permissions", file)


def sync_folder(folder: Path) -> None:
    """Make new names in the folder durable, where folders can be synced."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in UNABLE:
            return
        raise
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNABLE:
            raise
    finally:
        os.close(descriptor)


def network_file_system(path: Path, mounts: Path = MOUNTS) -> str | None:
    """The type of the network file system of the path; None if it is local or unknown."""
    try:
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    resolved = path.resolve()
    found, kind = Path("/"), ""
    for line in lines:
        mounted, _, source = line.partition(" - ")
        point = Path(mounted.split()[4].replace("\\040", " "))
        if resolved.is_relative_to(point) and point.is_relative_to(found):
            found, kind = point, source.split()[0]
    return kind if kind in NETWORK or kind.startswith(NETWORK_HELPERS) else None


def process_exists(process: int) -> bool:
    """Whether a process of this machine has that id; of another container, it cannot be known."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
