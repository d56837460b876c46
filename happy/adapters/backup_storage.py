"""Where backups are: a folder, a file, an object store, or a stream."""

import asyncio
import fcntl
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import msgspec

from happy.adapters.archive.writing import Sink
from happy.adapters.file_system import sync_folder
from happy.adapters.free_space import require_room
from happy.domain.errors import StartupError
from happy.domain.progress import Progress, Step
from happy.settings import S3

STREAM: Final = "-"
OBJECT_STORE: Final = "s3://"
PARTIAL: Final = ".happy-partial-"
ABANDONED_SECONDS: Final = 86_400
"""When an incomplete file is given up on a file system that has no locks."""

CHUNK: Final = 1_000_000
CHECK_BYTES: Final = 16_000_000


Check = Callable[[Path], object]


class Address(NamedTuple):
    """`s3://bucket/key`; the key is a prefix if it is empty or ends with a slash."""

    bucket: str
    key: str


def address_of(target: str) -> Address | None:
    """None for what is no object store's. Raises StartupError."""
    if not target.startswith(OBJECT_STORE):
        return None
    bucket, _, key = target.removeprefix(OBJECT_STORE).partition("/")
    if not bucket:
        raise StartupError(f"{target}: expected s3://bucket/key")
    return Address(bucket, key)


@asynccontextmanager
async def open_new(
    target: str, name: str, store: S3 | None, check: Check | None = None
) -> AsyncIterator[tuple[Sink, str]]:
    """What a backup is written to, and where it is when the block has ended without an error.

    In a folder, or below a prefix that ends with a slash, it gets that name; a file is checked before.
    Raises StartupError, or OSError.
    """
    address = address_of(target)
    if target == STREAM:
        yield sys.stdout.buffer, STREAM
        sys.stdout.buffer.flush()
    elif address is not None:
        key = address.key + name if address.key.endswith("/") or not address.key else address.key
        async with (
            open_store(store, address.bucket) as archives,
            archives.new(key) as upload,
        ):
            yield upload, f"{OBJECT_STORE}{address.bucket}/{key}"
    else:
        path = _path_of(target, name)
        with new_file(path, check) as file:
            yield file, str(path)


async def size_at(target: str, store: S3 | None) -> int | None:
    """The bytes of what a backup would replace there; None: nothing. Raises StartupError, OSError."""
    address = address_of(target)
    if target == STREAM:
        return None
    if address is None:
        path = _path_of(target, "")
        return path.stat().st_size if path.is_file() else None
    if address.key.endswith("/") or not address.key:
        return None
    async with open_store(store, address.bucket) as archives:
        found = await archives.list(address.key)
    return next((stored.size for stored in found if stored.key == address.key), None)


def _path_of(target: str, name: str) -> Path:
    """Raises StartupError for what is neither a folder nor a file, nor can become one."""
    path = Path(target)
    if path.is_dir():
        return path / name
    if target.endswith("/"):
        raise StartupError(f"there is no folder {target}")
    if path.exists() and not path.is_file():
        raise StartupError(f"{target} is no file and no folder: - stands for standard output")
    if not path.parent.is_dir():
        raise StartupError(f"there is no folder {path.parent}")
    return path


@asynccontextmanager
async def open_local(
    source: str, store: S3 | None, progress: Progress, folder: Path | None = None
) -> AsyncIterator[Path]:
    """What is to be read as a file of this machine, for it is read several times.

    Of an object or a stream it is a copy in `folder`, or where temporary files are; removed at the end.
    Raises StartupError, or OSError.
    """
    address = address_of(source)
    if source != STREAM and address is None:
        yield Path(source)
        return
    with tempfile.NamedTemporaryFile(prefix="happy-backup-", dir=folder) as copy:
        if address is None:
            while chunk := await asyncio.to_thread(sys.stdin.buffer.read, CHUNK):
                progress(Step("reading standard input", copy.tell(), unit="byte"))
                copy.write(chunk)
        else:
            async with open_store(store, address.bucket) as archives:
                await archives.read_into(copy, address.key, progress)
        copy.flush()
        yield Path(copy.name)


@asynccontextmanager
async def open_store(store: S3 | None, bucket: str) -> AsyncIterator[Any]:
    """The archives of a bucket. Raises StartupError."""
    if store is None:
        raise StartupError(
            "s3:// needs an object store: set HAPPY_BACKUP_S3_HOST, HAPPY_BACKUP_S3_ACCESS_KEY and"
            " HAPPY_BACKUP_S3_SECRET_KEY"
        )
    try:
        from happy.adapters.full.s3.archives import open_archives
    except ImportError:
        raise StartupError(
            "s3:// needs packages of the full server: pip install 'happy-server[full]'"
        ) from None
    async with open_archives(msgspec.structs.replace(store, bucket=bucket)) as archives:
        yield archives


@contextmanager
def new_file(path: Path, check: Check | None = None) -> Iterator[Sink]:
    """A file that has its name only when it is whole, on disk and checked.

    What killed processes have left beside it is removed.
    Raises OSError that names it, also when others on its file system would have no room.
    """
    remove_abandoned(path.parent)
    with _named(path):
        descriptor, made = _create(path)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield SparingFile(file, path)
            with _named(path):
                file.flush()
                os.fsync(file.fileno())
            if check is not None:
                check(made)
            made.replace(path)  # while it is locked: nobody takes it for abandoned
        sync_folder(path.parent)
    finally:
        made.unlink(missing_ok=True)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors are those of the file that is to be there, not of the one with the name for the meantime."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


class SparingFile:
    """Writes to a file until hardly any room is left on its file system: then the server needs it."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        """`path` is what errors name."""
        self._file = file
        self._path = path
        self._unchecked = 0

    def write(self, data: bytes) -> int:
        """Raises OSError."""
        self._unchecked += len(data)
        if self._unchecked >= CHECK_BYTES:
            self._unchecked = 0
            with _named(self._path):
                require_room(self._file.fileno(), 0)
        with _named(self._path):
            return self._file.write(data)


def remove_abandoned(folder: Path) -> None:
    """Remove incomplete files whose writers are gone, of this machine or another; others are left alone."""
    for left in folder.glob(f".*{PARTIAL}*"):
        with suppress(OSError), left.open("rb") as file:
            locks = _lock(file.fileno())
            old = time.time() - left.stat().st_mtime > ABANDONED_SECONDS
            if locks or (locks is None and old):
                left.unlink(missing_ok=True)


def _create(path: Path) -> tuple[int, Path]:
    """A new file that is locked for as long as its descriptor is open. Raises OSError."""
    while True:
        made = path.with_name(f".{path.name}{PARTIAL}{os.urandom(4).hex()}")
        descriptor = os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        _lock(descriptor)
        with suppress(FileNotFoundError):
            if os.path.samestat(made.stat(), os.fstat(descriptor)):
                return descriptor, made
        os.close(descriptor)  # somebody took it for abandoned before it was locked


def _lock(descriptor: int) -> bool | None:
    """Whether it is locked now; None where the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
