"""Fills an empty database and file store from a backup that was found to be whole."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final, Protocol, TypeVar

from happy.adapters.archive import reading
from happy.adapters.archive.format import Header, Manifest
from happy.adapters.archive.rows import RowFormat, RowSum, row_formats
from happy.domain.errors import StartupError
from happy.domain.ports.filestore import FileStore
from happy.domain.progress import Progress, Step

CHUNK: Final = 256 * 1024
INSERT_BYTES: Final = 2_000_000
_T = TypeVar("_T")


class RowTarget(Protocol):
    """An empty database with the schema of the archive, which `finish` brings up to date.

    What was added is kept once `finish` has returned and the context has ended.
    """

    async def add(self, table: RowFormat, rows: list[list[Any]]) -> None: ...

    async def sums(self, tables: list[RowFormat], progress: Progress) -> dict[str, RowSum]: ...

    async def finish(self) -> None: ...


async def restore(
    path: Path,
    verified: tuple[Header, Manifest],
    target: RowTarget,
    files: FileStore | None,
    progress: Progress,
    before_finish: Callable[[], None] = lambda: None,
) -> None:
    """Rows and files; then the rows are read again and compared, and the schema is brought up to date.

    `target` has the schema of the archive. Raises StartupError.
    """
    header, manifest = verified
    found, count, stored = reading.items(path, header), 0, 0
    while (item := await asyncio.to_thread(next, found, None)) is not None:
        if isinstance(item[0], RowFormat):
            table, rows = item
            del item
            for batch in _batches(rows):
                await target.add(table, batch)
                count += len(batch)
                progress(Step("restoring rows", count, manifest.rows))
            batch = []
            rows.clear()  # before the next ones are read: they may be large
        elif files is not None:
            key, content, size = item
            await files.put(key, _chunks(content), size)
            stored += size
            progress(Step("restoring files", stored, manifest.file_bytes, "byte"))
    await compare(target, header, manifest, progress)
    await asyncio.to_thread(before_finish)
    progress(Step("finishing"))
    await target.finish()


async def compare(target: RowTarget, header: Header, manifest: Manifest, progress: Progress) -> None:
    """Raises StartupError when a table does not have exactly the rows that the manifest lists."""

    def compared(step: Step) -> None:
        progress(step._replace(total=manifest.rows))

    for name, total in (await target.sums(row_formats(header.schema_revision), compared)).items():
        listed = manifest.tables[name]
        if (total.rows, total.digest) != (listed.rows, listed.digest):
            raise StartupError(f"the database does not give back the rows of {name}: nothing was restored")


def _batches(rows: list[list[Any]]) -> Iterator[list[list[Any]]]:
    batch: list[list[Any]] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += sum(len(value) for value in row if isinstance(value, str | bytes))
        if size >= INSERT_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


async def _chunks(content: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(content.read, CHUNK):
        yield chunk
