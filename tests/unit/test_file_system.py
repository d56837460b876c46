"""File systems that lack something: what can be done without is done without, the rest is named."""

import errno
import logging
import os
import sqlite3
from pathlib import Path

import pytest

from happy.adapters.file_system import make_private, make_private_folder, network_file_system, sync_folder
from happy.adapters.light.schema import startup_errors
from happy.domain.errors import StartupError

MOUNTS = """\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 21 0:40 / {0}/nas rw,relatime - nfs4 nas:/volume1 rw
31 30 0:41 / {0}/nas/local rw - ext4 /dev/sdb1 rw
32 21 0:42 / {0}/my\\040share rw - cifs //nas/share rw
33 21 0:43 / {0}/ssh rw - fuse.sshfs host:/ rw
"""


def refusing(code: int) -> object:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return refuse


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("nas/happy", "nfs4"),
        ("nas/local/happy", None),
        ("my share", "cifs"),
        ("ssh", "fuse.sshfs"),
        ("nasal", None),
        ("", None),
    ],
)
def test_a_network_file_system_is_known_by_its_mount(tmp_path: Path, folder: str, kind: str | None) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.format(tmp_path))

    assert kind == network_file_system(tmp_path / folder, mounts)
    assert None is network_file_system(tmp_path / folder, tmp_path / "absent")


def test_a_file_whose_mode_cannot_be_changed_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "secret"
    file.write_text("")
    file.chmod(0o644)
    monkeypatch.setattr(Path, "chmod", refusing(errno.EPERM))

    make_private(file)
    assert [
        f"others on this machine may read {file}: its file system keeps no permissions"
    ] == caplog.messages


def test_a_folder_that_others_can_read_against_our_will_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make_private_folder(tmp_path / "kept")
    (tmp_path / "before").mkdir(mode=0o755)
    make_private_folder(tmp_path / "before")
    assert [] == caplog.messages
    monkeypatch.setattr("happy.adapters.file_system.PRIVATE", 0o777)

    make_private_folder(tmp_path / "forced")
    assert [f"others on this machine may read {tmp_path}/forced: its file system keeps no permissions"] == [
        record.getMessage() for record in caplog.records if record.levelno == logging.WARNING
    ]


@pytest.mark.parametrize("call", ["open", "fsync"])
def test_a_folder_that_cannot_be_synced_is_left_alone_and_a_broken_disk_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(os, call, refusing(errno.EINVAL))
    sync_folder(tmp_path)
    monkeypatch.setattr(os, call, refusing(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        sync_folder(tmp_path)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (sqlite3.SQLITE_PROTOCOL, "its file system has no file locks"),
        (sqlite3.SQLITE_IOERR_LOCK, "its file system has no file locks"),
        (sqlite3.SQLITE_IOERR_SHMMAP, "its file system has no shared memory"),
    ],
)
def test_what_sqlite_misses_on_a_network_share_is_named_with_what_to_do(code: int, said: str) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code

    with (
        pytest.raises(StartupError, match=rf"{said}: set DATABASE_URL=file:<path on a local disk>"),
        startup_errors(Path("/nas/happy.sqlite")),
    ):
        raise error
