"""What file systems of memory cards, network shares and NAS boxes lack, and how to do without."""

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
"""How a file system says that it does not do this at all."""

PRIVATE: Final = 0o700
OTHERS: Final = 0o077
NETWORK: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre"})
NETWORK_HELPERS: Final = ("fuse.sshfs", "fuse.rclone", "fuse.s3", "fuse.glusterfs")
MOUNTS: Final = Path("/proc/self/mountinfo")

log = logging.getLogger(__name__)


def make_private_folder(folder: Path) -> None:
    """One that only its owner can read, where that can be said; an existing one stays as it is.

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
    """Let nobody else read a file, or warn of it."""
    if not file.stat().st_mode & OTHERS:
        return
    with contextlib.suppress(OSError):
        file.chmod(0o600)
    if file.stat().st_mode & OTHERS:
        log.warning("others on this machine may read %s: its file system keeps no permissions", file)


def sync_folder(folder: Path) -> None:
    """Make sure that a crash cannot take a new name away again, where a folder can be synced."""
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
    """The kind of network file system that the path is on, if it is on one and the system says so."""
    try:
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    place = path.resolve()
    found, kind = Path("/"), ""
    for line in lines:
        mounted, _, source = line.partition(" - ")
        point = Path(mounted.split()[4].replace("\\040", " "))
        if place.is_relative_to(point) and point.is_relative_to(found):
            found, kind = point, source.split()[0]
    return kind if kind in NETWORK or kind.startswith(NETWORK_HELPERS) else None
