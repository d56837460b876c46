"""Locks between processes, as files: the system lets go of them when a process dies, however it dies."""

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

UNSUPPORTED: Final = frozenset(
    {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EBADF}
)
HELD: Final = frozenset({errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES})


class Held(Exception):
    """Another process has the lock; the message says which one, as far as it is known."""


@contextmanager
def locked(file: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the lock of this name; False where the file system knows no locks. Raises Held, or OSError.

    The file is there while the lock is held, and goes with it: one that was left by a killed process is free.
    """
    descriptor, supported = _acquire(file, wait=wait)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        yield supported
    finally:
        file.unlink(missing_ok=True)  # while it is held: whoever has opened it meanwhile looks again
        os.close(descriptor)


def _acquire(file: Path, *, wait: bool) -> tuple[int, bool]:
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            supported = _lock(descriptor, wait=wait)
            if not supported or _is(file, descriptor):
                return descriptor, supported
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int, *, wait: bool) -> bool:
    """`flock`, or the record locks that some network file systems have instead. Raises Held."""
    how = fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)
    for attempt in (fcntl.flock, fcntl.lockf):
        try:
            attempt(descriptor, how)
        except OSError as error:
            if error.errno in HELD:
                raise Held(os.pread(descriptor, 200, 0).decode(errors="replace").strip()) from None
            if error.errno not in UNSUPPORTED:
                raise
        else:
            return True
    return False


def _is(file: Path, descriptor: int) -> bool:
    """Whether the name still leads to what was opened."""
    try:
        return os.path.samestat(file.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
