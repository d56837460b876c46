"""Locks as files: one process at a time, also where the file system has only one kind of lock or none."""

import errno
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from happy.adapters.light import file_lock
from happy.adapters.light.file_lock import Held, locked, locked_everywhere


def test_a_refused_second_server_names_the_holder_of_the_lock(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    with (
        locked(file, wait=False) as supported,
        pytest.raises(Held, match=rf"^process {os.getpid()} on \S+ \(\S+\)$"),
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


# -- where other machines do not see our locks


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_lock, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(file_lock, "STALE_SECONDS", 1.0)


@pytest.fixture
def without_locks(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", unknown)
    monkeypatch.setattr("fcntl.lockf", unknown)


def test_a_holder_on_another_machine_is_found_by_what_it_writes(
    tmp_path: Path, without_locks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "lock"
    with ExitStack() as there:
        with monkeypatch.context() as patch:
            patch.setattr(file_lock, "_holder", lambda: "process 7 on attic (another start)")
            assert not there.enter_context(locked_everywhere(file))
        with pytest.raises(Held, match=r"^process 7 on attic \(another start\)$"), locked_everywhere(file):
            pass
    assert not file.exists()


@pytest.mark.parametrize("left", ["process 7 on attic (another start)\n12\n", "nonsense"])
def test_a_file_that_a_killed_holder_left_on_a_share_is_free_after_a_while(
    tmp_path: Path, without_locks: None, left: str
) -> None:
    (tmp_path / "lock").write_text(left)
    started = time.monotonic()

    with locked_everywhere(tmp_path / "lock"):
        assert time.monotonic() - started >= 1.0


def test_a_holder_that_has_died_on_this_machine_is_not_waited_for(
    tmp_path: Path, without_locks: None
) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / "lock").write_text(file_lock._holder().replace(str(os.getpid()), str(ended.pid), 1))
    started = time.monotonic()

    with locked_everywhere(tmp_path / "lock"):
        assert time.monotonic() - started < 1.0
