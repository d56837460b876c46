"""In-doubt commits: the connection broke, but the database may still commit once it is reachable again."""

from collections.abc import Awaitable, Callable, MutableSet

from happy.domain.errors import Unavailable
from happy.domain.ports.events import EventSink
from happy.domain.values import AccountId


class InDoubtCommits:
    """Clients resynced when the commit became in-doubt; they do so once more, for a commit that came late."""

    def __init__(
        self, accounts: MutableSet[AccountId], sink: EventSink, ping: Callable[[], Awaitable[None]]
    ) -> None:
        self._new = accounts
        self._sink = sink
        self._ping = ping
        self._older: set[AccountId] = set()

    async def resync_again(self) -> None:
        """For a background job: resync accounts that were in doubt at the last successful ping."""
        if not (self._new or self._older):
            return
        try:
            await self._ping()
        except Unavailable:
            return
        for account_id in self._older:
            self._sink.resync(account_id)
        self._older = set(self._new)
        self._new.clear()
