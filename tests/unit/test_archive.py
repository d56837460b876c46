"""A backup file is whole and as it was written, or it is refused."""

import asyncio
import hashlib
import io
import random
import tarfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard

from happy.adapters.archive.format import (
    FORMAT,
    FORMAT_VERSION,
    HEADER,
    MANIFEST,
    ArchiveDamaged,
    Header,
    ListedFile,
    Manifest,
    Member,
    trailer,
)
from happy.adapters.archive.reading import Verification
from happy.adapters.archive.rows import RowFormat, row_formats
from happy.adapters.archive.writing import Backup
from happy.adapters.backups import restore
from happy.adapters.disk_files import DiskFiles
from happy.domain.ports.filestore import ListedObject
from happy.domain.progress import silent
from happy.settings import load
from schema.revisions import HEAD

NOW = 1_800_000_000_000
SESSIONS = 3
MARKS = {"updates": 7, "feed items": 3, "messages": 1}
Members = list[tuple[str, bytes]]


def row(table: RowFormat, **values: Any) -> list[Any]:
    """A row whose other columns are zero, or empty where they refer to others."""
    known = {"createdAt": NOW, "updatedAt": NOW, "seq": 1, "active": 1, **values}
    return [known.get(column) for column in table.columns]


class Rows:
    """An account with a few sessions and many messages."""

    async def count(self, table: RowFormat) -> int:
        return sum([len(batch) async for batch in self.rows(table)])

    async def rows(self, table: RowFormat) -> AsyncIterator[list[Sequence[Any]]]:
        if table.name == "Account":
            yield [row(table, id="a1", publicKey="k1", seq=7, feedSeq=3)]
        if table.name == "Session":
            yield [
                row(table, id=f"s{n}", accountId="a1", dataEncryptionKey=b"\0\xff") for n in range(SESSIONS)
            ]
        if table.name == "SessionMessage":
            for n in range(SESSIONS):
                yield [
                    row(table, id=f"m{n}.{seq}", sessionId=f"s{n}", seq=seq, content='{"c":"\u00fc"}')
                    for seq in range(1, 200)
                ]


def write(path: Path, files: Path, kind: type[DiskFiles] = DiskFiles) -> Manifest:
    (files / "public").mkdir(parents=True, exist_ok=True)
    (files / "public" / "picture.png").write_bytes(random.Random(1).randbytes(50_000))
    header = Header(
        format=FORMAT,
        format_version=FORMAT_VERSION,
        server_version="1",
        schema_revision=HEAD,
        flavor="light",
        created_at=NOW,
        secret_fingerprint="",
        with_files=True,
    )
    with path.open("wb") as target:
        writing = Backup(target, header, silent).write(Rows(), kind(files, ""), None)
        manifest, size = asyncio.run(writing)
    assert path.stat().st_size == size
    return manifest


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    write(folder / "whole.tar.zst", folder / "files")
    return folder / "whole.tar.zst"


def refuse(path: Path, content: bytes) -> None:
    """`verify` refuses it, and `restore` does before it writes anything."""
    path.write_bytes(content)
    with pytest.raises(ArchiveDamaged):
        Verification(path).run()
    data = path.with_name("data")
    settings = load({"HAPPY_SERVER_LIGHT_DATA_DIR": str(data)}, flavor="light")
    with pytest.raises(ArchiveDamaged):
        asyncio.run(restore(settings, str(path), None, str, silent))
    assert not data.exists()


def test_what_was_written_is_found_to_be_whole(archive: Path) -> None:
    header, manifest = Verification(archive).run()

    assert HEAD == header.schema_revision
    assert SESSIONS * 199 == manifest.tables["SessionMessage"].rows
    assert MARKS == manifest.high_water_marks
    assert (1, 50_000) == (manifest.files, manifest.file_bytes)
    assert {table.name for table in row_formats()} == manifest.tables.keys()


class ListedBefore(DiskFiles):
    """As they were listed a moment ago: since then one was deleted, and one was stored anew."""

    async def list_all(self) -> AsyncIterator[ListedObject]:
        yield ListedObject("sessions/s0/deleted.enc", 10, "")
        async for listed in super().list_all():
            yield ListedObject(listed.key, listed.size - 1, listed.checksum)


def test_files_that_change_meanwhile_do_not_break_a_backup(tmp_path: Path) -> None:
    manifest = write(tmp_path / "backup.tar.zst", tmp_path / "files", ListedBefore)

    assert (1, 50_000) == (manifest.files, manifest.file_bytes)
    Verification(tmp_path / "backup.tar.zst").run()


def test_a_changed_byte_is_noticed_wherever_it_is(archive: Path, tmp_path: Path) -> None:
    whole, chance = archive.read_bytes(), random.Random(7)
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        refuse(tmp_path / "damaged", bytes(damaged))


def test_an_archive_that_is_cut_short_is_noticed(archive: Path, tmp_path: Path) -> None:
    whole, chance = archive.read_bytes(), random.Random(8)
    for size in [0, 1, len(whole) - 1, *(chance.randrange(len(whole)) for _ in range(50))]:
        refuse(tmp_path / "short", whole[:size])


def members(archive: Path) -> Members:
    stream = zstandard.ZstdDecompressor().stream_reader(archive.open("rb"), closefd=True)
    with stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        return [(info.name, (tar.extractfile(info) or io.BytesIO()).read()) for info in tar]


def packed(content: Members) -> bytes:
    """An archive that is whole in itself: only its contents can give it away."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name, data in content:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    frame = zstandard.ZstdCompressor(write_checksum=True).compress(plain.getvalue())
    return frame + trailer(hashlib.sha256(frame).digest())


def relisted(content: Members) -> Members:
    """With a manifest that lists the members as they are now."""
    manifest = msgspec.json.decode(content[-1][1], type=Manifest)
    listed = [Member(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in content[:-1]]
    changed = msgspec.structs.replace(manifest, members=listed)
    return [*content[:-1], (MANIFEST, msgspec.json.encode(changed))]


def swapped(content: Members) -> Members:
    numbers = [n for n, (name, _) in enumerate(content) if name.startswith("tables/")]
    first, second = numbers[0], numbers[-1]
    content[first], content[second] = content[second], content[first]
    return content


def swapped_contents(content: Members) -> Members:
    (first, a), (second, b) = content[1], content[2]
    return [content[0], (first, b), (second, a), *content[3:]]


def without_a_member(content: Members) -> Members:
    return [content[0], *content[2:]]


def without_a_message(content: Members) -> Members:
    """The last row of the last part, with a manifest that agrees on the members."""
    number = next(n for n, (name, _) in enumerate(content) if name.startswith("tables/SessionMessage"))
    name, data = content[number]
    content[number] = (name, b"\n".join(data.split(b"\n")[:-2]) + b"\n")
    return relisted(content)


def without_the_sessions(content: Members) -> Members:
    manifest = msgspec.json.decode(content[-1][1], type=Manifest)
    kept = [(name, data) for name, data in content if not name.startswith("tables/Session/")]
    empty = msgspec.structs.replace(manifest.tables["Session"], rows=0, digest="0" * 64)
    changed = msgspec.structs.replace(manifest, tables={**manifest.tables, "Session": empty})
    return relisted([*kept[:-1], (MANIFEST, msgspec.json.encode(changed))])


def summed_up(**changes: object) -> Callable[[Members], Members]:
    """With a manifest that says something else of what the members hold together."""

    def change(content: Members) -> Members:
        manifest = msgspec.json.decode(content[-1][1], type=Manifest)
        changed = msgspec.structs.replace(manifest, **changes)
        return [*content[:-1], (MANIFEST, msgspec.json.encode(changed))]

    return change


def with_a_file_outside(content: Members) -> Members:
    renamed = [("files/../happy.env" if name.startswith("files/") else name, data) for name, data in content]
    return relisted(renamed)


def with_something_after_the_manifest(content: Members) -> Members:
    return [*content, ("tables/Account/000002.jsonl", b"")]


def without_a_manifest(content: Members) -> Members:
    return content[:-1]


def of_another_program(content: Members) -> Members:
    return [(HEADER, b'{"format":"notes"}'), *content[1:]]


def of_a_later_format(content: Members) -> Members:
    return [(HEADER, content[0][1].replace(b'"format_version":1', b'"format_version":2')), *content[1:]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (swapped, "differs from what the manifest lists"),
        (swapped_contents, "cannot be read|differs from what the manifest lists"),
        (without_a_member, "differs from what the manifest lists"),
        (without_a_message, "SessionMessage does not have the rows that the manifest lists"),
        (without_the_sessions, "it has no row of Session for [0-9,]+ rows of SessionMessage"),
        (summed_up(files=2), "it has 1 file, and the manifest counts 2"),
        (summed_up(file_bytes=49_999), "it has 50,000 bytes of files, and the manifest counts 49,999"),
        (summed_up(listed_files=[ListedFile("a", 1, "")]), "it has 2 files, and the manifest counts 1"),
        (
            summed_up(high_water_marks=MARKS | {"messages": 2}),
            "the highest number of messages is 1, and the manifest says 2",
        ),
        (with_a_file_outside, "files/../happy.env would be outside"),
        (with_something_after_the_manifest, "comes after the manifest"),
        (without_a_manifest, "it has no manifest"),
        (of_another_program, "cannot be read|no backup of this program"),
        (of_a_later_format, "it has format 2, and this version reads 1"),
    ],
)
def test_contents_that_do_not_agree_are_noticed(
    archive: Path, tmp_path: Path, change: Callable[[Members], Members], message: str
) -> None:
    path = tmp_path / "changed"
    path.write_bytes(packed(change(members(archive))))

    with pytest.raises(ArchiveDamaged, match=message):
        Verification(path).run()


def test_the_same_contents_packed_anew_are_whole(archive: Path, tmp_path: Path) -> None:
    path = tmp_path / "again"
    path.write_bytes(packed(members(archive)))

    Verification(path).run()


@pytest.mark.parametrize("table", row_formats(), ids=lambda table: table.name)
def test_every_table_comes_back_from_its_lines(table: RowFormat) -> None:
    values = row(
        table, active=True, supportsV2=False, content='{"c":"\u00fc\\n"}', dataEncryptionKey=b"\0\xff"
    )

    assert values == table.row(table.line(values))


def test_rows_of_equal_json_have_one_digest_however_it_is_spelled() -> None:
    table = next(table for table in row_formats() if table.name == "SessionMessage")
    spellings = ['{"t":"e","c":[1e2,1.5]}', '{"c": [100, 1.50], "t": "e"}']

    one, other = (table.digest(row(table, content=text)) for text in spellings)

    assert one == other != table.digest(row(table, content='{"t":"e","c":[100,1.6]}'))
