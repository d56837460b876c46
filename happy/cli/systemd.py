"""What a service needs of systemd: its files, its user, and `systemctl`, also below the root of an image."""

import os
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from happy.cli.common import PROGRAM, CommandFailed
from happy.cli.systemd_unit import UNIT, Service

RUNNING: Final = Path("/run/systemd/system")
"""Exists if and only if systemd is this machine's service manager: sd_booted(3)."""

PRIVATE_FOLDERS: Final = ("/home", "/root", "/run/user")
"""What ProtectHome= hides from a service."""

FORBIDDEN: Final = "\"'\\"
TEMPORARY: Final = ("archive-v", "environments-v", "builds-v")
"""Folders of the cache in which uvx makes environments that it may remove again."""


def obstacles(service: Service) -> list[str]:
    """Why the service would not start, or would stop working some day."""
    programs = {Path(service.python), Path(service.python).resolve()}
    found = []
    try:
        distribution(PROGRAM)
    except PackageNotFoundError:
        found.append("it runs from a folder and is not installed: use pipx or `pip install` first")
    if set(service.python) & set(FORBIDDEN) or not service.python.isprintable():
        found.append(f"systemd starts no program whose path has quotes or backslashes: {service.python}")
    if any(part.startswith(TEMPORARY) for path in programs for part in path.parts):
        found.append(f"{service.python} is in a cache: install it with `uv tool install` or pipx first")
    elif service.home is None:
        hidden = [path for path in programs for folder in PRIVATE_FOLDERS if path.is_relative_to(folder)]
        if hidden:
            found.append(
                f"{hidden[0]} is in a home folder, which the service cannot read: "
                "use `pipx install --global` or --user"
            )
    return found


class Systemd:
    """Of the machine, of a user, or of an image below `root`. Failures are CommandFailed."""

    def __init__(self, *, for_user: bool, root: Path | None) -> None:
        self._user = for_user
        self._root = root

    @property
    def runs(self) -> bool:
        """Whether services can be started, not only enabled."""
        return self._root is None and RUNNING.is_dir()

    def check(self) -> None:
        """Raises CommandFailed where nothing can be installed."""
        if shutil.which("systemctl") is None:
            raise CommandFailed("systemctl was not found: this machine has no systemd")
        if not self._user and self._root is None and os.geteuid() != 0:
            raise CommandFailed("only root can do this for the whole machine: use sudo, or --user")

    def has(self, path: Path) -> bool:
        return self._at(path).exists()

    def read(self, path: Path) -> str:
        return self._at(path).read_text("utf-8")

    def write(self, path: Path, text: str, mode: int = 0o644) -> None:
        """Whole or not at all; the folder is made."""
        target = self._at(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{target.name}.new")
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
        beside.replace(target)

    def remove(self, path: Path) -> bool:
        """Whether there was one."""
        existed = self.has(path)
        self._at(path).unlink(missing_ok=True)
        return existed

    def make_user(self, file: Path) -> None:
        root = [] if self._root is None else [f"--root={self._root}"]
        _run("systemd-sysusers", *root, file.name)

    def enable(self, *, start: bool) -> None:
        self.reload()
        self._systemctl("enable", UNIT)
        if start:
            self._systemctl("restart", UNIT)  # one that runs already gets the new unit

    def disable(self) -> None:
        self._systemctl("disable", *(["--now"] if self.runs else []), UNIT)

    def reload(self) -> None:
        if self.runs:
            self._systemctl("daemon-reload")

    def _systemctl(self, *arguments: str) -> None:
        where = ["--user"] if self._user else []
        if self._root is not None:
            where = [f"--root={self._root}"]
        _run("systemctl", *where, "--quiet", *arguments)

    def _at(self, path: Path) -> Path:
        return path if self._root is None else self._root / path.relative_to("/")


def _run(*command: str) -> None:
    try:
        ended = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")  # noqa: S603
    except FileNotFoundError as error:
        raise CommandFailed(f"{command[0]} was not found") from error
    if ended.returncode:
        raise CommandFailed(f"{' '.join(command)}: {ended.stderr.strip() or f'exit code {ended.returncode}'}")
