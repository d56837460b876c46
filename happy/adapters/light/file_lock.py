"""File locks between processes, released by the system when a process dies."""

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
BEAT_SECONDS: Final = 4.0
SILENCE_SECONDS: Final = 10.0
"""A lock file of another machine is stale once it has been unchanged for this long."""


class Held(Exception):
    """Another process has the lock; the message says which one, as far as it is known."""


class Hold(NamedTuple):
    """An open lock file, what it says of us, and whether the system locks it too."""

    descriptor: int
    holder: str
    supported: bool


@contextmanager
def locked(file: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the lock of this name; False where the file system knows no locks. Raises Held, or OSError.

    The file is there while the lock is held, and goes with it. One that was left by a killed process is free.
    """
    with _hold(file, wait=wait) as hold:
        yield hold.supported


@contextmanager
def locked_everywhere(file: Path) -> Iterator[bool]:
    """The same, without waiting, where other machines may not see our locks, or where there are none.

    The holder changes the file every few seconds. Who finds one that somebody has left watches it first.
    """
    _require_silence(file)
    stopped = threading.Event()
    with _hold(file, wait=False) as hold:
        beating = threading.Thread(target=_beat, args=(hold, stopped), name="file-lock", daemon=True)
        beating.start()
        try:
            yield hold.supported
        finally:
            stopped.set()
            beating.join()


@contextmanager
def _hold(file: Path, *, wait: bool) -> Iterator[Hold]:
    descriptor, supported = _acquire(file, wait=wait)
    try:
        hold = Hold(descriptor, _holder(), supported)
        _write(descriptor, hold.holder)
        yield hold
    finally:
        file.unlink(missing_ok=True)  # while it is held: whoever has opened it meanwhile looks again
        os.close(descriptor)


def _beat(hold: Hold, stopped: threading.Event) -> None:
    """Through the same descriptor: closing another one of this file would let go of some kinds of lock."""
    count = 0
    while not stopped.wait(BEAT_SECONDS):
        count += 1
        with suppress(OSError):
            _write(hold.descriptor, f"{hold.holder}\n{count}")


def _require_silence(file: Path) -> None:
    """Raises Held while somebody changes the file."""
    first = _read(file)
    if not first or _is_dead(first):
        return
    until = time.monotonic() + SILENCE_SECONDS
    while time.monotonic() < until:
        time.sleep(0.2)
        now = _read(file)
        if now not in (first, ""):
            raise Held(now.partition("\n")[0])


def holder_on_another_machine(file: Path) -> str | None:
    """What the file says of its holder, if that is not a process of this machine since its last boot."""
    said = _read(file).partition("\n")[0]
    return said if said and said.split()[-1] != _holder().split()[-1] else None


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
    return words[1] == ours[1]  # its number is ours now


def _holder() -> str:
    """`process 12 on attic (4fd1...)`: the last part is another one after each start of the machine."""
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
    """Whether the path is still the file that was opened."""
    try:
        return os.path.samestat(file.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
