"""A connection that can be recovered: the state of one client, connected or lost.

The states and their transitions are drawn in docs/architecture.md.
"""

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING

from happy.domain.events import Scope
from happy.domain.ports.delivery import NotDelivered
from happy.domain.values import AccountId, ConnectionId
from happy.gateway.handshake import Handshake

if TYPE_CHECKING:
    from happy.domain.stream_position import StreamPosition
    from happy.gateway.recovery.cluster import RestoredSession


class SessionState(Enum):
    """Where a recoverable session is in its life; changed by `SessionRegistry.enter` alone."""

    CONNECTED = auto()
    LOST = auto()
    """Its connection is gone: events are kept for it until the window is over."""
    RESTORING = auto()
    """Its client is being let in again: events are kept until the replay is sent."""
    MOVED = auto()
    """Its client is connected to another replica."""
    ENDED = auto()
    """Its token recovers nothing any more."""


AWAITED = frozenset({SessionState.LOST, SessionState.RESTORING})
"""States in which the client is to be replayed what is published now."""


class RecoverableSession:
    """Only the client knows its `recovery_token`; the connection's id is no secret."""

    __slots__ = (
        "__weakref__",
        "_close",
        "account_id",
        "connection_id",
        "freed",
        "from_cluster",
        "last_acknowledged",
        "left",
        "lost_at",
        "received",
        "recovery_token",
        "restored",
        "scope",
        "since",
        "start",
        "state",
        "target",
    )

    def __init__(
        self,
        recovery_token: str,
        account_id: AccountId,
        connection_id: ConnectionId,
        scope: Scope,
        target: str,
    ) -> None:
        self.recovery_token = recovery_token
        self.account_id = account_id
        self.connection_id = connection_id
        self.scope = scope
        self.target = target
        self.state = SessionState.CONNECTED
        self.left = ""  # the replica it was connected to before, if that is known
        self.start = 0  # number in the local history of the last event from before this session
        self.since = 0  # ms on the shared clock: events published before this were read over HTTP
        self.received: StreamPosition | None = None  # from other replicas; may arrive here once more
        self.last_acknowledged = 0.0  # `time.monotonic`: packets sent before this were received
        self.lost_at = 0.0  # when it became lost, on the clock of `Recovery`
        self._close: Callable[[], None] | None = None  # closes its connection, until that was cleaned up
        self.freed: asyncio.Event | None = None  # set when its connection was cleaned up
        self.from_cluster = False  # began on another replica: offsets up to `start` are no help here
        self.restored: RestoredSession | None = None  # what it missed there, until that is replayed

    def belongs_to(self, account_id: AccountId, handshake: Handshake) -> bool:
        """Account, scope and target must match those of the lost session."""
        return (self.account_id, self.scope, self.target) == (account_id, handshake.scope, handshake.target)

    def refused(self, handshake: Handshake) -> NotDelivered | None:
        """Why this session, which was claimed, was not resumed; None if it was."""
        if self.state is SessionState.MOVED:  # to another replica, while its client was let in here
            return NotDelivered.CLOSING
        return None if self.recovery_token == handshake.recovery_token else NotDelivered.HISTORY_GAP

    def attach(self, close: Callable[[], None]) -> None:
        """It has a connection now, which `close` ends."""
        self._close = close

    def close_connection(self) -> None:
        """No-op after `release`."""
        if self._close is not None:
            self._close()

    async def until_free(self) -> None:
        """Close the former connection, if there is one still, and wait until it was cleaned up."""
        while self._close is not None:
            self._close()
            self.freed = self.freed or asyncio.Event()
            await self.freed.wait()

    def release(self) -> None:
        """Its connection was cleaned up: the client may take the session over."""
        self._close = None
        if self.freed is not None:
            self.freed.set()
            self.freed = None
