"""What a backup, or a restore, would replace: files after a question, and nothing that is no file of ours."""

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from happy.cli.main import run
from tests.support.small_disk import remount, small_disk


def test_a_file_is_replaced_when_that_was_said(environ: dict[str, str], tmp_path: Path) -> None:
    archive = tmp_path / "backup.tar.zst"
    archive.write_text("old")

    assert 1 == run(["backup", str(archive)], environ)
    assert "old" == archive.read_text()
    assert 0 == run(["backup", str(archive), "--yes"], environ)
    assert 0 == run(["verify", str(archive)], environ)


def test_a_device_was_replaced_by_a_backup(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A named pipe instead of /dev/null, which would be lost if this failed."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    assert 1 == run(["backup", str(pipe), "--yes"], environ)
    assert f"{pipe} is no file and no folder: - stands for standard output" in capsys.readouterr().err
    assert 1 == run(["restore", made(environ, tmp_path), "--into-file", str(pipe)], environ)
    assert f"{pipe} is no file" in capsys.readouterr().err
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_folder_that_is_not_there_was_made_a_file(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as the mount point of a disk that is not mounted."""
    assert 1 == run(["backup", f"{tmp_path}/disk/"], environ)
    assert f"there is no folder {tmp_path}/disk/" in capsys.readouterr().err
    assert not (tmp_path / "disk").exists()


def test_the_database_of_another_program_was_replaced_by_a_restore(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos.sqlite"
    with closing(sqlite3.connect(photos)) as connection:
        connection.execute("CREATE TABLE photos (name TEXT)")
    before = photos.read_bytes()

    assert 1 == run(["restore", made(environ, tmp_path), "--into-file", str(photos)], environ)
    assert f"{photos} is a database of another program" in capsys.readouterr().err
    assert before == photos.read_bytes()


def made(environ: dict[str, str], folder: Path) -> str:
    archive = folder / "made.tar.zst"
    assert 0 == run(["backup", str(archive)], environ)
    return str(archive)


def test_a_backup_on_a_read_only_disk_is_verified_in_depth(environ: dict[str, str], tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 16_000_000) as disk:
        archive = made(environ, disk)
        remount(disk, "ro")

        assert 0 == run(["verify", archive, "--deep"], {})
