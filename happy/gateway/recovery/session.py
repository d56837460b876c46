"""What a client keeps when it loses its connection."""

import asyncio
from typing import TYPE_CHECKING

from happy.domain.events import Scope
from happy.domain.values import AccountId, ConnectionId
from happy.gateway.handshake import Handshake

if TYPE_CHECKING:
    from collections.abc import Callable

    from happy.domain.stream_position import StreamPosition
    from happy.gateway.recovery.cluster import RestoredSession


class RecoverableSession:
    """`pid` is the client's secret, the connection's id is not."""

    __slots__ = (
        "account_id",
        "close",
        "connection_id",
        "freed",
        "heard",
        "last_acknowledged",
        "lost_at",
        "moved",
        "pid",
        "returning",
        "scope",
        "since",
        "start",
        "target",
        "visit",
        "visitor",
    )

    def __init__(
        self, pid: str, account_id: AccountId, connection_id: ConnectionId, scope: Scope, target: str
    ) -> None:
        self.pid = pid
        self.account_id = account_id
        self.connection_id = connection_id
        self.scope = scope
        self.target = target
        self.start = 0  # what was published before is not its business
        self.since = 0  # what was published before that, on the shared clock, it has read
        self.heard: StreamPosition | None = None  # on other nodes, from where it may still be on its way here
        self.last_acknowledged = 0.0  # what was sent before this moment has arrived
        self.lost_at: float | None = None
        self.close: Callable[[], None] | None = None  # ends the connection that has this past now
        self.freed: asyncio.Event | None = None  # set when no connection has it
        self.visitor = False  # it began on another node, and `start` is not where
        self.visit: RestoredSession | None = None  # what it missed there, until it is told
        self.returning = False  # its client is being let in: what is published now is kept for it
        self.moved = False  # another node has it now

    def belongs_to(self, account_id: AccountId, asked: Handshake) -> bool:
        """Whoever comes back must be who left."""
        return (self.account_id, self.scope, self.target) == (account_id, asked.scope, asked.target)

    async def until_free(self) -> None:
        """End the connection that has this past, if there is one still."""
        while self.close is not None:
            self.close()
            self.freed = self.freed or asyncio.Event()
            await self.freed.wait()

    def release(self) -> None:
        """The connection that had this past is over in every respect."""
        self.close = None
        if self.freed is not None:
            self.freed.set()
            self.freed = None
