"""Uploaded files in a directory: written atomically, and never outside of it."""

import asyncio
import errno
import logging
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.parse import quote

from happy.adapters.file_system import sync_folder
from happy.adapters.free_space import require_space
from happy.adapters.incoming_files import IncomingFiles
from happy.domain.errors import Invalid, NotFound, TooLarge, Unavailable
from happy.domain.ports.filestore import ListedObject, StoredFile
from happy.limits import limit

CHUNK = 256 * 1024
BUFFER = 1024 * 1024
"""In bytes: how much of an upload is collected before a thread writes it."""

MAX_COLLECTED = limit(
    16_777_216,
    "bytes of all uploads that wait to be written",
    per="replica",
    then="uploads are written in smaller pieces",
)
SMALL_BUFFER = 64 * 1024
"""How much of one is collected while all together have collected too much."""

ATTEMPTS = 3
TAKES_NOTHING = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG, errno.EACCES, errno.EPERM}
)
"""Errors of a file system that is full, read-only or broken."""

MISSING = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}
)


MAX_PARTS = limit(16, "folders in the key of a file", per="request", then="404")
"""Each costs several calls of the system; our keys have four."""

log = logging.getLogger(__name__)


@contextmanager
def map_errors() -> Iterator[None]:
    """Translate errors of the file system into domain errors: NotFound, Unavailable."""
    try:
        yield
    except OSError as error:
        if error.errno in MISSING:
            raise NotFound from error
        raise Unavailable("the file store did not answer") from error


class DiskFiles:
    """Every disk access runs in a thread, so that a slow disk does not block the event loop."""

    direct = False

    def __init__(self, folder: Path, base_url: str) -> None:
        self._folder = folder
        self._incoming = IncomingFiles(folder)
        self._base_url = base_url.rstrip("/")
        self._collected = 0  # bytes of all uploads that are not written yet
        self._refused = False
        """Whether the file system took nothing when something was stored last."""

    async def sweep(self) -> None:
        """Delete what killed processes have left of uploads; at the start, beside others that run."""
        try:
            deleted = await asyncio.to_thread(self._incoming.sweep)
        except OSError as error:
            log.warning("uploads of killed processes remain in %s: %s", self._folder, error.strerror)
        else:
            if deleted:
                log.info("deleted %d incomplete uploads of killed processes", deleted)

    async def ping(self) -> None:
        """Raises Unavailable for a disk that is full or read-only; writes only once a write has failed."""
        await asyncio.to_thread(require_space, self._folder)
        if self._refused:
            with map_errors():
                await asyncio.to_thread(self._write_again)
            self._refused = False

    def _write_again(self) -> None:
        with self._incoming.begin() as file:
            try:
                file.write(b"\0" * CHUNK)
                _sync(file)
            finally:
                Path(file.name).unlink()

    async def put(self, key: str, chunks: AsyncIterator[bytes], max_bytes: int) -> int:
        target = self._path(key)
        with map_errors(), self._noticing_refusals():
            temporary = await asyncio.to_thread(self._incoming.begin)
            try:
                with temporary:  # until it has its name: it is locked meanwhile
                    size = await self._fill(temporary, chunks, max_bytes)
                    await asyncio.to_thread(_sync, temporary)
                    await asyncio.to_thread(self._publish, Path(temporary.name), target)
            except BaseException:
                with suppress(OSError):
                    await asyncio.to_thread(os.unlink, temporary.name)
                raise
        return size

    async def _fill(self, file: IO[bytes], chunks: AsyncIterator[bytes], max_bytes: int) -> int:
        """Raises TooLarge as soon as there is more than `max_bytes`."""
        size, waiting = 0, bytearray()
        try:
            async for chunk in chunks:
                size += len(chunk)
                if size > max_bytes:
                    raise TooLarge
                waiting += chunk
                self._collected += len(chunk)
                if len(waiting) >= (BUFFER if self._collected <= MAX_COLLECTED else SMALL_BUFFER):
                    await asyncio.to_thread(file.write, waiting)
                    self._collected -= len(waiting)
                    waiting = bytearray()
            await asyncio.to_thread(file.write, waiting)
        finally:
            self._collected -= len(waiting)
        return size

    @contextmanager
    def _noticing_refusals(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._refused |= error.errno in TAKES_NOTHING
            raise

    async def open(self, key: str, offset: int = 0, length: int | None = None) -> StoredFile:
        try:
            path = self._path(key)
        except Invalid:
            raise NotFound from None
        with map_errors():
            size = await asyncio.to_thread(self._size, path)
        end = size if length is None else min(size, offset + length)
        return StoredFile(size, _read(path, offset, end))

    async def list_all(self) -> AsyncIterator[ListedObject]:
        walk = os.walk(self._folder)
        while (folder := await asyncio.to_thread(next, walk, None)) is not None:
            path, folders, names = folder
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in names:
                file = Path(path, name)
                with suppress(FileNotFoundError):
                    size = (await asyncio.to_thread(file.stat)).st_size
                    yield ListedObject(file.relative_to(self._folder).as_posix(), size, "")

    async def delete_prefix(self, prefix: str) -> None:
        """Raises Invalid for an empty prefix, which would delete everything."""
        path = self._path(prefix.removesuffix("/"))
        with map_errors(), suppress(FileNotFoundError, NotADirectoryError):
            await asyncio.to_thread(self._delete, path, whole=prefix.endswith("/"))

    async def upload_ticket(self, key: str, max_bytes: int, size: int | None = None) -> None:  # noqa: ARG002
        """None: clients upload through this server."""
        return

    async def download_url(self, key: str) -> None:  # noqa: ARG002
        return

    def public_url(self, key: str) -> str:
        return f"{self._base_url}/files/{quote(key)}"

    def _path(self, key: str) -> Path:
        """Raises Invalid for a key that is not a plain path below the folder."""
        parts = key.split("/", MAX_PARTS)
        if len(parts) > MAX_PARTS or any(
            not part or part.startswith(".") or "\\" in part or "\0" in part for part in parts
        ):
            raise Invalid("Invalid file key")
        return self._folder.joinpath(*parts)

    def _publish(self, temporary: Path, target: Path) -> None:
        """Give a complete file its name, durably."""
        for attempt in range(1, ATTEMPTS + 1):
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._require_inside(target.parent)
            try:
                temporary.replace(target)
                break
            except FileNotFoundError:  # the folder was deleted in between
                if attempt == ATTEMPTS:
                    raise
        sync_folder(target.parent)

    def _size(self, path: Path) -> int:
        self._require_inside(path)
        if not path.is_file():
            raise NotFound
        return path.stat().st_size

    def _delete(self, path: Path, *, whole: bool) -> None:
        self._require_inside(path.parent)
        for entry in [path] if whole else [*path.parent.iterdir()]:
            if not entry.name.startswith(path.name):
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif not whole:
                entry.unlink(missing_ok=True)
        self._delete_empty(path.parent)

    def _delete_empty(self, folder: Path) -> None:
        """Delete empty folders."""
        with suppress(OSError):
            while folder != self._folder:
                folder.rmdir()
                folder = folder.parent

    def _require_inside(self, path: Path) -> None:
        """Symbolic links may lead out of the folder. Raises NotFound."""
        if not path.resolve().is_relative_to(self._folder.resolve()):
            raise NotFound


async def _read(path: Path, offset: int, end: int) -> AsyncIterator[bytes]:
    """Open the file with the first chunk: a file that is never read needs no closing."""
    if offset >= end:
        return
    with map_errors():
        descriptor = await asyncio.to_thread(os.open, path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while offset < end:
            with map_errors():
                chunk = await asyncio.to_thread(os.pread, descriptor, min(CHUNK, end - offset), offset)
            if not chunk:
                raise Unavailable("a file ended early")
            yield chunk
            offset += len(chunk)
    finally:
        os.close(descriptor)


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
