"""Who backs up until when, and the last backup, for each target that backups go to."""

from typing import Protocol

from happy.domain.backups import BackupRecord
from happy.domain.values import Millis


class BackupRepository(Protocol):
    async def claim(self, target: str, holder: str, now: Millis, until: Millis) -> bool:
        """Hold the target until then, or for longer; False while another one holds it."""
        ...

    async def release(self, target: str, holder: str, until: Millis) -> None:
        """Let others claim it from then on."""
        ...

    async def record(self, target: str, made: BackupRecord) -> None:
        """Remember it as the last one; the target must have been claimed."""
        ...

    async def last(self, target: str) -> BackupRecord | None: ...
