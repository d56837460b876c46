"""A file store on a disk that is full or read-only, on real file systems: it says so, and recovers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from happy.adapters.disk_files import DiskFiles
from happy.adapters.free_space import MIN_FREE_BYTES
from happy.domain.errors import Unavailable
from tests.contract.test_files import KEY, read, store
from tests.support.small_disk import fill, remount, small_disk

MB = 1024 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 16 * MB) as folder:
        yield folder


async def test_a_full_disk_is_noticed_without_a_write(disk: Path) -> None:
    files = DiskFiles(disk, "http://x")
    await files.ping()
    with fill(disk, leave=MIN_FREE_BYTES // 2):
        with pytest.raises(Unavailable, match="full"):
            await files.ping()
        assert not (disk / ".incoming").exists()

    await files.ping()


async def test_a_read_only_disk_is_noticed_without_a_write(disk: Path) -> None:
    files = DiskFiles(disk, "http://x")
    await store(files, KEY)
    remount(disk, "ro")
    with pytest.raises(Unavailable, match="read-only"):
        await files.ping()
    with pytest.raises(Unavailable):
        await store(files, "another")
    assert b"content" == await read(files, KEY)

    remount(disk, "rw")
    await files.ping()
    await store(files, "another")


async def test_a_disk_that_took_no_file_is_asked_to_take_one_again(disk: Path) -> None:
    """A quota, say, of which the file system does not tell when it is asked for its free space."""
    files = DiskFiles(disk, "http://x")
    with pytest.raises(Unavailable):
        await store(files, KEY, b"x" * 20 * MB)
    refused = files._refused
    await files.ping()
    assert (True, False) == (refused, files._refused)

    assert [] == list((disk / ".incoming").iterdir())
