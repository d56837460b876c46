"""What every FileStore promises. A case that only a directory can get wrong says so in its name."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from subprocess import PIPE

import pytest

from happy.adapters.disk_files import CHUNK, MAX_COLLECTED, SMALL_BUFFER, DiskFiles
from happy.adapters.full.s3.files import open_files as open_s3
from happy.domain.errors import HappyError, Invalid, NotFound, TooLarge, Unavailable
from happy.domain.ports.filestore import FileStore
from tests.support.until import until

KEY = "sessions/s1/attachments/a.enc"
STORES = ("disk", "s3")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture(params=STORES)
async def files(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[FileStore]:
    if request.param == "disk":
        yield DiskFiles(folder, "http://example.org")
        return
    objects = request.getfixturevalue("object_store")
    async with open_s3(objects.settings(objects.new_bucket())) as opened:
        yield opened


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def broken(*chunks: bytes) -> AsyncIterator[bytes]:
    """An upload whose client goes away."""
    for chunk in chunks:
        yield chunk
    raise ConnectionResetError("the client has gone")


async def store(files: FileStore, key: str, content: bytes = b"content") -> int:
    return await files.put(key, pieces(content), max_bytes=len(content))


async def read(files: FileStore, key: str, offset: int = 0, length: int | None = None) -> bytes:
    file = await files.open(key, offset, length)
    return b"".join([chunk async for chunk in file.chunks])


async def exists(files: FileStore, key: str) -> bool:
    try:
        await files.open(key)
    except NotFound:
        return False
    return True


def open_files() -> int:
    return len([*Path("/dev/fd").iterdir()])


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


# -- put and open --------------------------------------------------------------------------------------


async def test_what_was_put_is_read_back(files: FileStore) -> None:
    content = os.urandom(3 * CHUNK + 17)
    chunks = [content[start : start + 65_000] for start in range(0, len(content), 65_000)]

    size = await files.put(KEY, pieces(*chunks), max_bytes=len(content))

    assert len(content) == size == (await files.open(KEY)).size
    assert content == await read(files, KEY)


async def test_an_empty_object_is_an_object(files: FileStore) -> None:
    assert 0 == await files.put(KEY, pieces(), max_bytes=0)

    assert (0, b"") == ((await files.open(KEY)).size, await read(files, KEY))


async def test_putting_again_replaces_the_object(files: FileStore) -> None:
    await store(files, KEY, b"the first and longer one")
    await store(files, KEY, b"second")

    assert b"second" == await read(files, KEY)


async def test_an_object_that_was_never_put_is_not_found(files: FileStore) -> None:
    await store(files, KEY)

    for key in ("nothing", "sessions/s1", "sessions/s1/attachments", KEY + ".x", KEY + "/x"):
        with pytest.raises(NotFound):
            await files.open(key)


async def test_all_complete_objects_are_listed_with_their_sizes(files: FileStore) -> None:
    others = {"public/users/a/picture.png": 11, "sessions/s2/attachments/b.enc": 0}
    await store(files, KEY)
    for key, size in others.items():
        await store(files, key, b"x" * size)
    with pytest.raises(TooLarge):
        await files.put("sessions/s3/attachments/c.enc", pieces(b"half"), max_bytes=1)

    listed = {found.key: found.size async for found in files.list_all()}

    assert {KEY: len(b"content"), **others} == listed


async def test_an_object_may_be_as_large_as_allowed(files: FileStore) -> None:
    assert 10 == await files.put(KEY, pieces(b"x" * 4, b"x" * 6), max_bytes=10)


async def test_an_object_that_is_too_large_is_refused_before_the_rest_is_read(files: FileStore) -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 4

    with pytest.raises(TooLarge):
        await files.put(KEY, endless(), max_bytes=10)

    assert (3, False) == (taken, await exists(files, KEY))


async def test_what_uploads_have_collected_is_bounded_in_all_on_disk(folder: Path) -> None:
    """Each of a hundred held nearly a megabyte until more of it came."""
    files, over = DiskFiles(folder, "http://x"), asyncio.Event()
    count, size = 40, 14 * 65_536

    async def waiting() -> AsyncIterator[bytes]:
        for _ in range(14):
            yield bytes(65_536)
        await over.wait()

    tasks = [asyncio.create_task(files.put(f"a/{number}", waiting(), size)) for number in range(count)]
    kept = MAX_COLLECTED + count * SMALL_BUFFER
    incoming = folder / ".incoming"
    await until(lambda: sum(path.stat().st_size for path in incoming.glob("*")) >= count * size - kept)
    over.set()
    assert [size] * count == await asyncio.gather(*tasks)
    assert 0 == files._collected


async def test_an_upload_that_breaks_off_stores_nothing(files: FileStore, folder: Path) -> None:
    with pytest.raises((ConnectionResetError, Unavailable)):
        await files.put(KEY, broken(b"x" * 2_000_000), max_bytes=10_000_000)

    assert not await exists(files, KEY)
    assert [] == leftovers(folder)


async def test_an_upload_that_fails_leaves_the_earlier_object_alone(files: FileStore, folder: Path) -> None:
    await store(files, KEY, b"earlier")

    with pytest.raises(HappyError):
        await files.put(KEY, pieces(b"too large"), max_bytes=3)

    assert b"earlier" == await read(files, KEY)
    assert [] == [path for path in leftovers(folder) if path != folder / KEY]


async def test_a_cancelled_upload_stores_nothing(files: FileStore, folder: Path) -> None:
    async def stalled() -> AsyncIterator[bytes]:
        yield b"x" * 2_000_000
        await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await files.put(KEY, stalled(), max_bytes=10_000_000)

    assert not await exists(files, KEY)
    assert [] == leftovers(folder)


async def test_an_object_is_not_there_before_it_is_complete(files: FileStore) -> None:
    seen = []

    async def watched() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 1_500_000
            seen.append(await exists(files, KEY))

    await files.put(KEY, watched(), max_bytes=10_000_000)

    assert [False] * 3 == seen
    assert await exists(files, KEY)


async def test_of_simultaneous_uploads_one_is_stored_whole(files: FileStore) -> None:
    contents = [bytes([letter]) * 300_000 for letter in b"abcdefgh"]

    await asyncio.gather(*[store(files, KEY, content) for content in contents])

    assert await read(files, KEY) in contents


# -- ranges --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 3), (2, 3), (7, None), (7, 100), (0, 10), (10, None), (99, 1), (4, 0)]
)
async def test_a_range_is_the_same_slice_as_of_the_whole(
    files: FileStore, offset: int, length: int | None
) -> None:
    await store(files, KEY, b"0123456789")

    file = await files.open(KEY, offset, length)

    end = None if length is None else offset + length
    assert b"0123456789"[offset:end] == b"".join([chunk async for chunk in file.chunks])
    assert 10 == file.size


async def test_a_range_may_span_many_chunks(files: FileStore) -> None:
    content = os.urandom(3 * CHUNK)
    await store(files, KEY, content)

    assert content[5 : 5 + 2 * CHUNK] == await read(files, KEY, 5, 2 * CHUNK)


# -- delete --------------------------------------------------------------------------------------------


async def test_a_prefix_is_deleted_with_everything_under_it_and_nothing_else(files: FileStore) -> None:
    kept = ["sessions/s10/attachments/a", "sessions/s1.x", "public/a"]
    gone = [KEY, "sessions/s1/attachments/b", "sessions/s1/attachments/deep/c"]
    for key in kept + gone:
        await store(files, key)

    await files.delete_prefix("sessions/s1/attachments/")

    assert [True] * 3 + [False] * 3 == [await exists(files, key) for key in kept + gone]


async def test_a_prefix_may_end_in_the_middle_of_a_name(files: FileStore) -> None:
    for key in ("public/avatar_1.jpg", "public/avatar_2/x.jpg", "public/other.jpg"):
        await store(files, key)

    await files.delete_prefix("public/avatar")

    assert [False, False, True] == [
        await exists(files, key)
        for key in ("public/avatar_1.jpg", "public/avatar_2/x.jpg", "public/other.jpg")
    ]


async def test_deleting_what_is_not_there_is_fine(files: FileStore) -> None:
    await files.delete_prefix("sessions/none/attachments/")
    await store(files, KEY)
    await files.delete_prefix("sessions/none/attachments/")
    await files.delete_prefix(f"{KEY}/")

    assert await exists(files, KEY)


async def test_the_same_key_can_be_put_again_after_its_deletion(files: FileStore) -> None:
    await store(files, KEY)
    await files.delete_prefix("sessions/s1/attachments/")
    await store(files, KEY, b"again")

    assert b"again" == await read(files, KEY)


async def test_uploads_survive_deletions_around_them(files: FileStore) -> None:
    """A deletion tidies folders away that an upload is about to use."""
    for _ in range(20):
        await asyncio.gather(
            store(files, "sessions/s1/attachments/new"), files.delete_prefix("sessions/s1/attachments/old")
        )

        assert await exists(files, "sessions/s1/attachments/new")
        await files.delete_prefix("sessions/s1/attachments/")


@pytest.mark.parametrize("prefix", ["", "/", "//"])
async def test_everything_is_never_deleted(files: FileStore, prefix: str) -> None:
    await store(files, KEY)

    with pytest.raises(Invalid):
        await files.delete_prefix(prefix)

    assert await exists(files, KEY)


# -- addresses and keys --------------------------------------------------------------------------------


async def test_an_address_on_disk_is_percent_encoded(folder: Path) -> None:
    files = DiskFiles(folder, "http://example.org")

    assert files.public_url("public/a b/ü%?#.jpg").endswith("/public/a%20b/%C3%BC%25%3F%23.jpg")


def test_an_address_on_disk_is_one_of_this_server(folder: Path) -> None:
    assert "https://x.org/files/public/a.jpg" == DiskFiles(folder, "https://x.org/").public_url(
        "public/a.jpg"
    )


HOSTILE = [
    "../outside",
    "a/../../outside",
    "/etc/passwd",
    "a//b",
    "",
    ".",
    "a/.",
    ".incoming/x",
    "a\0b",
    "a\\..\\b",
    "a/",
]


@pytest.mark.parametrize("key", HOSTILE)
async def test_a_key_that_leads_astray_is_refused_on_disk(folder: Path, key: str) -> None:
    files = DiskFiles(folder, "http://x")
    outside = folder.parent / "outside"
    outside.write_bytes(b"secret")

    with pytest.raises(NotFound):
        await files.open(key)
    with pytest.raises(Invalid):
        await store(files, key)
    with pytest.raises(Invalid):
        await files.delete_prefix(f"{key}/x/")

    assert b"secret" == outside.read_bytes()


async def test_a_link_does_not_lead_out_of_the_folder_on_disk(folder: Path) -> None:
    files = DiskFiles(folder, "http://x")
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"secret")
    (folder / "public").mkdir(parents=True)
    (folder / "public" / "link").symlink_to(outside)
    (folder / "public" / "file").symlink_to(outside / "file")

    for key in ("public/link/file", "public/file"):
        with pytest.raises(NotFound):
            await files.open(key)
    with pytest.raises(NotFound):
        await store(files, "public/link/new")
    with pytest.raises(NotFound):
        await files.delete_prefix("public/link/file")
    await files.delete_prefix("public/link")

    assert ["file"] == [path.name for path in outside.iterdir()]


async def test_the_folder_itself_may_be_a_link_on_disk(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    files = DiskFiles(tmp_path / "link", "http://x")

    await store(files, KEY)

    assert b"content" == await read(files, KEY)


async def test_empty_folders_are_tidied_away_on_disk(folder: Path) -> None:
    files = DiskFiles(folder, "http://x")
    await store(files, KEY)

    await files.delete_prefix("sessions/s1/attachments/")

    assert not (folder / "sessions").is_dir()


WRITER = """
import sys
from pathlib import Path
from happy.adapters.incoming_files import IncomingFiles

file = IncomingFiles(Path(sys.argv[1])).begin()
file.write(b"half")
file.flush()
print(flush=True)
sys.stdin.read()
"""


def writer(folder: Path) -> "subprocess.Popen[bytes]":
    """A process in the middle of an upload."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, folder], stdin=PIPE, stdout=PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


async def test_uploads_of_killed_processes_stayed_for_ever_on_disk(folder: Path) -> None:
    """Those that another process is writing stay."""
    killed, running = writer(folder), writer(folder)
    killed.kill()
    killed.communicate()
    await DiskFiles(folder, "http://x").sweep()

    assert 1 == len(uploads(folder))
    running.communicate()
    await DiskFiles(folder, "http://x").sweep()
    assert [] == uploads(folder)


async def test_an_upload_that_is_swept_beside_arrives_on_disk(folder: Path) -> None:
    files, other = DiskFiles(folder, "http://x"), DiskFiles(folder, "http://x")

    async def swept() -> AsyncIterator[bytes]:
        yield b"first"
        await other.sweep()
        yield b"second"

    await files.put(KEY, swept(), max_bytes=100)

    assert b"firstsecond" == await read(files, KEY)
    assert [] == uploads(folder)


def uploads(folder: Path) -> list[str]:
    return [path.name for path in (folder / ".incoming").iterdir()]


async def test_uploads_without_locks_are_removed_after_a_day_on_disk(folder: Path) -> None:
    incoming = folder / ".incoming"
    incoming.mkdir(parents=True)
    for name, mtime in [("old", 1), ("new", None)]:
        (incoming / name).write_bytes(b"x")
        if mtime is not None:
            os.utime(incoming / name, (mtime, mtime))

    await DiskFiles(folder, "http://x").sweep()

    assert ["new"] == uploads(folder)


async def test_a_disk_that_refuses_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises((Unavailable, NotFound)):
        await store(DiskFiles(tmp_path / "file", "http://x"), KEY)


async def test_reading_keeps_no_file_open_on_disk(folder: Path) -> None:
    files = DiskFiles(folder, "http://x")
    await store(files, KEY, b"x" * 3 * CHUNK)
    before = open_files()

    unread = await files.open(KEY)
    partly = await files.open(KEY)
    await anext(partly.chunks)
    await partly.chunks.aclose()  # type: ignore[attr-defined]
    whole = await read(files, KEY)

    assert (3 * CHUNK, 3 * CHUNK) == (unread.size, len(whole))
    assert before == open_files()
