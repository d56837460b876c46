"""Backups that the server makes by itself."""

from msgspec import Struct

from happy.domain.errors import HappyError
from happy.domain.values import Millis


class BackupFailed(HappyError):
    """No backup was made; the message is one line that says why."""


class StoredBackup(Struct, frozen=True):
    """A whole backup where backups are kept, and when it was begun."""

    name: str
    time: Millis


class BackupRecord(Struct, frozen=True):
    """A backup that was made: when it was begun, its name, its size in bytes, and how long it took."""

    made_at: Millis
    name: str
    bytes: int
    milliseconds: int
