"""What backups keep of rows and files while they are made and verified does not grow much with them."""

import asyncio
import io
import tracemalloc
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from happy.adapters.archive.format import Manifest
from happy.adapters.archive.listing import Listing
from happy.adapters.archive.reading import Verification
from happy.adapters.archive.references import Hashes
from happy.adapters.archive.writing import ArchiveWriter, Backup
from happy.adapters.imports.files import files_of_archive
from happy.domain.ports.filestore import ListedObject, StoredFile
from tests.contract.test_older_archives import HEADER
from tests.support.every_table import EveryTable

FILES = 20_000
MOST_BYTES_A_FILE = 120
"""In the archive each has about 200 in the manifest alone."""

LARGE_ROW = 8_000_000
EMPTY = {"tables": {}, "files": 0, "file_bytes": 0, "listed_files": [], "high_water_marks": {}}


class ManyFiles:
    """Small ones, as an attachment of each of many sessions."""

    async def list_all(self) -> AsyncIterator[ListedObject]:
        for number in range(FILES):
            yield ListedObject(f"sessions/{number:032}/attachments/{number:032}", 1, "")

    async def open(self, key: str, offset: int = 0, length: int | None = None) -> StoredFile:
        del key, offset, length

        async def chunks() -> AsyncIterator[bytes]:
            yield b"x"

        return StoredFile(1, chunks())


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "many.tar.zst"


def write(path: Path) -> None:
    with path.open("wb") as target:
        asyncio.run(Backup(target, HEADER, lambda _: None).write(EveryTable(), ManyFiles(), None))


def peak_of(work: Callable[[], Any]) -> int:
    """The most that was allocated at once, in bytes."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_neither_writing_nor_verifying_keeps_what_is_known_of_each_file(archive: Path) -> None:
    written = peak_of(lambda: write(archive))
    verified = peak_of(lambda: Verification(archive).run())

    assert written < 12_000_000 + FILES * MOST_BYTES_A_FILE
    assert verified < 12_000_000 + FILES * MOST_BYTES_A_FILE


def test_an_import_takes_the_files_of_an_archive_without_holding_its_large_rows(archive: Path) -> None:
    with archive.open("wb") as target:
        writer = ArchiveWriter(target)
        writer.add("header.json", msgspec.json.encode(HEADER))
        writer.add("tables/SessionMessage/000001.jsonl", b"x" * LARGE_ROW)
        writer.add_file("files/a", io.BytesIO(b"contents"), len(b"contents"))
        writer.close(msgspec.convert(EMPTY, Manifest), Listing())

    async def take() -> list[tuple[str, int, list[bytes]]]:
        files = files_of_archive(archive)
        return [(file.key, file.size, [chunk async for chunk in file.chunks]) async for file in files]

    found: list[tuple[str, int, list[bytes]]] = []

    def take_all() -> None:
        found.extend(asyncio.run(take()))

    assert peak_of(take_all) < LARGE_ROW // 2
    assert [("a", 8, [b"contents"])] == found


def test_hashes_know_what_was_added_and_need_little_more_than_eight_bytes() -> None:
    chance, numbers = Random(4), Hashes()
    known = [chance.randrange(-(2**63), 2**63) for _ in range(50_000)]
    for number in known[:-1]:
        numbers.add(number)

    assert all(number in numbers for number in known[:-1])
    assert known[-1] not in numbers
    numbers.add(known[-1])
    assert known[-1] in numbers
