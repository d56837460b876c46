"""Locks as files: one process at a time, also where the file system has only one kind of lock or none."""

import errno
import os
import threading
from pathlib import Path

import pytest

from happy.adapters.light.file_lock import Held, locked


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    with (
        locked(file, wait=False) as supported,
        pytest.raises(Held, match=rf"process {os.getpid()} on \S+$"),
        locked(file, wait=False),
    ):
        pass

    assert supported
    assert not file.exists()


def test_a_file_that_a_killed_process_left_is_free(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("process 1 on somewhere\n")

    with locked(tmp_path / "lock", wait=False) as supported:
        assert supported


def test_those_who_wait_come_one_after_another(tmp_path: Path) -> None:
    inside, most = [0], [0]

    def enter() -> None:
        for _ in range(50):
            with locked(tmp_path / "lock", wait=True):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert (0, 1) == (inside[0], most[0])


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EBADF])
def test_where_one_kind_of_lock_is_unknown_the_other_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def unknown(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("fcntl.flock", unknown)
    with locked(tmp_path / "lock", wait=False) as supported:
        assert supported
    monkeypatch.setattr("fcntl.lockf", unknown)
    with locked(tmp_path / "lock", wait=False) as supported:
        assert not supported


def test_another_failure_is_not_taken_for_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("fcntl.flock", broken)
    with pytest.raises(OSError, match="Input/output error"), locked(tmp_path / "lock", wait=False):
        pass
