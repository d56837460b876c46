"""Commands that move a database, with folders and disks that are not as they should: one line names what."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from happy.cli.main import run
from tests.support.server_process import REPOSITORY
from tests.support.small_disk import remount, small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Smaller than what a backup leaves free for others."""
    with small_disk(tmp_path / "disk", 1_000_000) as folder:
        yield folder


@pytest.mark.parametrize(
    "command", [["backup"], ["schema-check"], ["export", "ada"], ["new-secret", "--yes"]]
)
def test_a_folder_without_a_database_was_to_be_migrated_or_got_one(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mistaken"

    assert 1 == run(command, {"HAPPY_SERVER_LIGHT_DATA_DIR": str(folder)})

    *_, said = capsys.readouterr().err.splitlines()
    there_is_none = f"there is no database {folder}/happy-server-light.sqlite"
    assert f"happy-server: {there_is_none}: HAPPY_SERVER_LIGHT_DATA_DIR names its folder" == said
    assert not folder.exists()


def test_a_backup_into_no_folder_named_a_file_that_nobody_knows(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 1 == run(["backup", str(tmp_path / "no" / "backup.tar.zst")], environ)
    assert f"happy-server: there is no folder {tmp_path / 'no'}\n" == capsys.readouterr().err


def test_a_backup_onto_a_read_only_disk_names_the_backup(
    environ: dict[str, str], disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    remount(disk, "ro")

    assert 1 == run(["backup", str(disk / "backup")], environ)

    assert f"happy-server: {disk / 'backup'}: Read-only file system\n" == capsys.readouterr().err


def test_a_full_disk_below_the_backup_was_said_to_be_below_the_database(
    environ: dict[str, str], disk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("happy.adapters.backup_storage.CHECK_BYTES", 1)

    assert 1 == run(["backup", str(disk / "backup")], environ)

    assert f"happy-server: {disk / 'backup'}: No space left on device\n" == capsys.readouterr().err
    assert [] == list(disk.iterdir())


def test_a_full_standard_output_was_said_to_be_the_database(environ: dict[str, str]) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "happy", "backup", "-"],
            cwd=REPOSITORY,
            env={"PATH": os.environ["PATH"], **environ},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (1, "happy-server: standard output: No space left on device\n") == (ended.returncode, ended.stderr)
