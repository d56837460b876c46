"""Readiness of this replica, as `/health` reports it (protocol: http#infrastructure-endpoints)."""

from collections.abc import Awaitable, Callable

from happy.domain.errors import Stopping
from happy.metrics import BackupState

Ping = Callable[[], Awaitable[None]]


class Readiness:
    """Ready while the database answers, database and files take writes, and the server is not stopping."""

    def __init__(self, ping: Ping, ping_files: Ping, backups: BackupState | None = None) -> None:
        self._ping = ping
        self.backups = backups or BackupState()
        self._ping_files = ping_files
        self.stopping = False

    async def check(self) -> None:
        """Raises Stopping once the server is about to end, Unavailable while the database does not answer."""
        if self.stopping:
            raise Stopping
        await self._ping()

    async def check_files(self) -> None:
        """Raises Unavailable while the file store takes no files."""
        await self._ping_files()
