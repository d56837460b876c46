"""Whether clients are welcome at this server."""

from collections.abc import Awaitable, Callable

from happy.domain.errors import Stopping


class Readiness:
    """Whether clients should be sent here: the database answers, and the server is not about to end."""

    def __init__(self, ping: Callable[[], Awaitable[None]]) -> None:
        self._ping = ping
        self.stopping = False

    async def __call__(self) -> None:
        """Raises Unavailable."""
        if self.stopping:
            raise Stopping
        await self._ping()
