"""Commits that were given up may be made all the same, as soon as the way to the database is free again."""

from collections.abc import Awaitable, Callable, MutableSet

from happy.domain.errors import Unavailable
from happy.domain.ports.events import EventSink
from happy.domain.values import AccountId


class InDoubtCommits:
    """Connections started over when the doubt arose; they do so once more, for commits that came late."""

    def __init__(
        self, doubted: MutableSet[AccountId], sink: EventSink, ping: Callable[[], Awaitable[None]]
    ) -> None:
        self._doubted = doubted
        self._sink = sink
        self._ping = ping
        self._older: set[AccountId] = set()

    async def settle(self) -> None:
        """For a background job: what was in doubt when the database answered the last time is settled now."""
        if not (self._doubted or self._older):
            return
        try:
            await self._ping()
        except Unavailable:
            return
        for account_id in self._older:
            self._sink.resync(account_id)
        self._older = set(self._doubted)
        self._doubted.clear()
