"""File locks between processes; the operating system releases them when a process ends."""

import errno
import fcntl
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

UNSUPPORTED: Final = frozenset(
    {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EBADF}
)
HELD: Final = frozenset({errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES})
BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
HEARTBEAT_SECONDS: Final = 4.0
STALE_SECONDS: Final = 10.0
"""A lock file of another machine is stale once it has been unchanged for this long."""


class Held(Exception):
    """Another process has the lock; the message names it, as far as it is known."""


class Hold(NamedTuple):
    """An open lock file, its text about this process, and whether the file system supports locks."""

    descriptor: int
    holder: str
    supported: bool


@contextmanager
def locked(file: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the lock on `file`; yields False where the file system has no locks. Raises Held, or OSError.

    The file is deleted on release. One that a killed process has left is not locked.
    """
    with _hold(file, wait=wait) as hold:
        yield hold.supported


@contextmanager
def locked_everywhere(file: Path) -> Iterator[bool]:
    """The same, without waiting, on file systems whose locks other machines may not see.

    The holder changes the file every few seconds as a heartbeat. A file that exists already is observed for
    `STALE_SECONDS` first, and taken if it does not change.
    """
    _require_stale(file)
    stopped = threading.Event()
    with _hold(file, wait=False) as hold:
        heartbeat = threading.Thread(
            target=_send_heartbeats, args=(hold, stopped), name="file-lock", daemon=True
        )
        heartbeat.start()
        try:
            yield hold.supported
        finally:
            stopped.set()
            heartbeat.join()


@contextmanager
def _hold(file: Path, *, wait: bool) -> Iterator[Hold]:
    descriptor, supported = _acquire(file, wait=wait)
    try:
        hold = Hold(descriptor, _holder(), supported)
        _write(descriptor, hold.holder)
        yield hold
    finally:
        file.unlink(missing_ok=True)  # while locked: processes that have opened it check the path again
        os.close(descriptor)


def _send_heartbeats(hold: Hold, stopped: threading.Event) -> None:
    """Writes through the locked descriptor: closing another one of this file would release record locks."""
    count = 0
    while not stopped.wait(HEARTBEAT_SECONDS):
        count += 1
        with suppress(OSError):
            _write(hold.descriptor, f"{hold.holder}\n{count}")


def _require_stale(file: Path) -> None:
    """Raises Held if the file is changed within `STALE_SECONDS`: its holder is alive."""
    first = _read(file)
    if not first or _is_dead(first):
        return
    until = time.monotonic() + STALE_SECONDS
    while time.monotonic() < until:
        time.sleep(0.2)
        now = _read(file)
        if now not in (first, ""):
            raise Held(now.partition("\n")[0])


def holder_on_another_machine(file: Path) -> str | None:
    """The holder named in the file, unless it is a process of this machine since its last boot."""
    holder = _read(file).partition("\n")[0]
    return holder if holder and holder.split()[-1] != _holder().split()[-1] else None


def _is_dead(text: str) -> bool:
    """Whether the holder was a process of this machine, since its last boot, that has ended."""
    words = text.partition("\n")[0].split()
    ours = _holder().split()
    if len(words) != len(ours) or words[2:] != ours[2:]:
        return False
    try:
        os.kill(int(words[1]), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError):
        return False
    return words[1] == ours[1]  # its process id is ours now


def _holder() -> str:
    """`process 12 on attic (4fd1...)`: the last part changes with each boot of the machine."""
    try:
        boot = BOOT.read_text("utf-8").strip()
    except OSError:
        boot = "unknown"
    return f"process {os.getpid()} on {socket.gethostname()} ({boot})"


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _write(descriptor: int, text: str) -> None:
    data = f"{text}\n".encode()
    os.pwrite(descriptor, data, 0)
    os.ftruncate(descriptor, len(data))
    with suppress(OSError):
        os.fsync(descriptor)


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
                text = os.pread(descriptor, 200, 0).decode(errors="replace")
                raise Held(text.partition("\n")[0].strip()) from None
            if error.errno not in UNSUPPORTED:
                raise
        else:
            return True
    return False


def _is(file: Path, descriptor: int) -> bool:
    """Whether the path still refers to the opened file."""
    try:
        return os.path.samestat(file.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
