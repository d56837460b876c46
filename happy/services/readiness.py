"""Readiness of this replica, as `/health` reports it (protocol: http#infrastructure-endpoints)."""

from collections.abc import Awaitable, Callable

from happy.domain.errors import Stopping


class Readiness:
    """Ready while the database answers and the server is not stopping."""

    def __init__(self, ping: Callable[[], Awaitable[None]]) -> None:
        self._ping = ping
        self.stopping = False

    async def check(self) -> None:
        """Raises Stopping once the server is about to end, Unavailable while the database does not answer."""
        if self.stopping:
            raise Stopping
        await self._ping()
