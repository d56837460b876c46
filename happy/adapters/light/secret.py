"""The master secret of a light server: generated at the first start, then read from its file."""

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from happy.adapters.file_system import make_private, sync_folder
from happy.domain.errors import StartupError

FILE_NAME: Final = "handy-master-secret.txt"
PREVIOUS_NAME: Final = "handy-master-secret-previous.txt"
"""Secrets that were replaced, one a line, while their tokens are still accepted."""

OWNER_ONLY: Final = 0o600
SECRET_BYTES: Final = 32


def master_secret(data_dir: Path) -> str:
    """The secret in `data_dir`, which is generated when missing. Raises StartupError.

    It is returned only once it is stored durably, because all tokens depend on it.
    """
    file = data_dir / FILE_NAME
    with _startup_errors(file):
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _read(file) or _make(file)


def read(data_dir: Path) -> str:
    """The secret in `data_dir`, empty if there is none. Raises StartupError."""
    file = data_dir / FILE_NAME
    with _startup_errors(file):
        return _read(file)


def read_previous(data_dir: Path) -> list[str]:
    """The secrets that were replaced, the latest first. Raises StartupError."""
    file = data_dir / PREVIOUS_NAME
    with _startup_errors(file):
        return [line.strip() for line in _read(file).splitlines() if line.strip()]


def replace(data_dir: Path) -> str | None:
    """Make a new secret; the one before is kept among the previous ones first. None without one before.

    Raises StartupError.
    """
    file, kept = data_dir / FILE_NAME, data_dir / PREVIOUS_NAME
    with _startup_errors(file):
        before = _read(file)
        if not before:
            return None
        previous = dict.fromkeys([before, *read_previous(data_dir)])
        _overwrite(kept, "".join(f"{secret}\n" for secret in previous))
        made = secrets.token_urlsafe(SECRET_BYTES)
        _overwrite(file, made)
    return made


def store(data_dir: Path, current: str, previous: Sequence[str]) -> None:
    """Put secrets of a backup into a data directory that has none. Raises StartupError."""
    file = data_dir / FILE_NAME
    with _startup_errors(file):
        if previous:
            _overwrite(data_dir / PREVIOUS_NAME, "".join(f"{secret}\n" for secret in previous))
        _overwrite(file, current)


def forget_previous(data_dir: Path) -> bool:
    """Remove the previous secrets; whether there were any. Raises StartupError."""
    file = data_dir / PREVIOUS_NAME
    with _startup_errors(file):
        try:
            file.unlink()
        except FileNotFoundError:
            return False
        sync_folder(data_dir)
    return True


def set_aside(data_dir: Path, now: int) -> Path | None:
    """Rename the file; returns the new path, None if there is no file. Raises StartupError."""
    file = data_dir / FILE_NAME
    kept = file.with_name(f"{FILE_NAME}.before-{now}")
    with _startup_errors(file):
        try:
            file.rename(kept)
        except FileNotFoundError:
            return None
    return kept


@contextmanager
def _startup_errors(file: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise StartupError(f"{file} is damaged: restore it, or everybody has to sign in again") from error
    except OSError as error:
        raise StartupError(f"cannot use {error.filename or file}: {error.strerror or error}") from error


def _read(file: Path) -> str:
    try:
        text = file.read_text("utf-8").strip()
    except FileNotFoundError:
        return ""
    if text:
        make_private(file)  # restored from a backup or copied by hand, perhaps with wider permissions
    return text


def _make(file: Path) -> str:
    written = file.with_name(f".{FILE_NAME}.{secrets.token_hex(8)}")
    try:
        _write(written, secrets.token_urlsafe(SECRET_BYTES))
        _publish(written, file)
        sync_folder(file.parent)
    finally:
        written.unlink(missing_ok=True)
    return _read(file)


def _publish(written: Path, file: Path) -> None:
    """A hard link, unlike a rename, does not replace the file of a server that starts at the same time."""
    try:
        os.link(written, file)
    except OSError:  # the file exists; or the file system has no hard links, as on memory cards
        if not _read(file):
            written.replace(file)


def _overwrite(file: Path, text: str) -> None:
    """Either text is there after a crash, and whole."""
    written = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        _write(written, text)
        written.replace(file)
        sync_folder(file.parent)
    finally:
        written.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, OWNER_ONLY), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
