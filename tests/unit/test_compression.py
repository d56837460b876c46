"""Compressed copies of static files: made once, within a bound, of what they were made from."""

import asyncio
import gzip
import os
from pathlib import Path

import pytest

from happy.http.framework import compression
from happy.http.framework.compression import CompressedFiles

TEXT = b"a line of text\n" * 1000


def written(path: Path, content: bytes = TEXT) -> tuple[Path, os.stat_result]:
    path.write_bytes(content)
    return path, path.stat()


async def test_twenty_requests_at_once_share_one_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []
    compress = compression._compress

    def counted(file: Path) -> bytes | None:
        made.append(file)
        return compress(file)

    monkeypatch.setattr(compression, "_compress", counted)
    files, (file, status) = CompressedFiles(), written(tmp_path / "bundle.js")

    copies = await asyncio.gather(*(files.gzipped(file, status) for _ in range(20)))

    assert [file] == made
    assert {TEXT} == {gzip.decompress(copy or b"") for copy in copies}


async def test_a_file_that_was_replaced_is_compressed_anew(tmp_path: Path) -> None:
    files = CompressedFiles()
    await files.gzipped(*written(tmp_path / "bundle.js"))

    copy = await files.gzipped(*written(tmp_path / "bundle.js", TEXT * 2))

    assert TEXT * 2 == gzip.decompress(copy or b"")


async def test_copies_are_bounded_in_bytes(tmp_path: Path) -> None:
    files = CompressedFiles(max_kept_bytes=150)

    copies = [await files.gzipped(*written(tmp_path / f"{number}.js")) for number in range(3)]

    assert [True, False, False] == [copy is not None for copy in copies]


async def test_small_and_incompressible_files_are_sent_as_they_are(tmp_path: Path) -> None:
    files = CompressedFiles()

    assert None is await files.gzipped(*written(tmp_path / "small.js", b"js"))
    assert None is await files.gzipped(*written(tmp_path / "random.wasm", os.urandom(5000)))
