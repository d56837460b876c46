"""A file system of a few MB, where root runs the tests and may mount one."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """Mounted there meanwhile; the test is skipped where that is not possible."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0 or mount("-t", "tmpfs", "-o", f"size={size},mode=777", "tmpfs", folder):
        pytest.skip("needs root, and a system that mounts tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=False)


def remount(folder: Path, mode: str) -> None:
    """`ro` or `rw`."""
    assert not mount("-o", f"remount,{mode}", folder)


def mount(*arguments: str | Path) -> int:
    try:
        return subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode
    except FileNotFoundError:
        return 1


@contextmanager
def fill(folder: Path, *, leave: int) -> Iterator[None]:
    """Another program has taken all but `leave` bytes."""
    other = folder / "other"
    status = os.statvfs(folder)
    other.write_bytes(b"x" * (status.f_bavail * status.f_frsize - leave))
    try:
        yield
    finally:
        other.unlink()
