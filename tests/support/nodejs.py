"""Node.js and packages from npm for tests, kept in a cache outside the repository."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from tests.support.services import missing

SOCKET_IO_CLIENT = ("socket.io-client", "4.8.4")
OLDEST_SOCKET_IO_CLIENT = ("socket.io-client", "4.0.0")
MISSING = "Node.js and npm are needed for the tests with real clients, and are not installed"


def node_is_there() -> bool:
    return shutil.which("node") is not None and shutil.which("npm") is not None


def node() -> str:
    """The path of `node`; without Node the test is skipped, in CI it fails."""
    found = shutil.which("node")
    if found is None or not node_is_there():
        missing(MISSING)
    return found


def installed(package: str, version: str) -> Path:
    """A folder whose `node_modules` holds the package; installed on first use, shared by later runs."""
    node()
    folder = _cache() / f"{package}-{version}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # parallel test runs install once
        if not folder.exists():
            _install(package, version, folder)
    return folder


def _cache() -> Path:
    chosen = os.environ.get("HAPPY_TEST_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "happy-server-tests"


def _install(package: str, version: str, folder: Path) -> None:
    """Install beside the final path and rename: a folder that exists is complete."""
    building = folder.with_name(f"{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    (building / "package.json").write_text('{"private": true}')
    command = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", f"{package}@{version}"]
    done = subprocess.run(command, cwd=building, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    building.rename(folder)
