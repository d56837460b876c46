"""Which sessions and machines have a live connection on any replica, and which have lost their last one."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, NamedTuple

from happy.domain.errors import Unavailable
from happy.domain.ports.presence import Holder, Presence
from happy.domain.values import AccountId, ConnectionId, ReplicaId
from happy.limits import limit

DEPARTURE_SECONDS = 6.0
"""Clients reconnect after 1 s and then about every 3 s: time for two attempts."""

BATCH = 256
"""Rows of one transaction."""

MAX_DEPARTURES = limit(
    10_000,
    "sessions and machines in the grace period after their last connection",
    per="replica",
    then="ended by the sweep, seconds later",
)
"""Grace periods at a time; targets beyond are ended by the sweep for unattended ones."""

MAX_TARGETS = limit(
    1_000,
    "sessions and machines that one connection attends",
    per="connection",
    then="further ones do not end with the connection, but by their silence",
)
MAX_ACCOUNT_TARGETS = limit(
    20_000,
    "sessions and machines that connections attend, each connection counted",
    per="account and replica",
    then="further ones do not end with the connection, but by their silence",
)

log = logging.getLogger(__name__)


class Target(NamedTuple):
    """A session or a machine. Whether it exists and belongs to the account is not checked here."""

    account_id: AccountId
    kind: Literal["session", "machine"]
    id: str

    @property
    def claim(self) -> str:
        return f"{self.kind}:{self.id}"


class Departure(NamedTuple):
    """End of a target's grace period, in loop time; `goodbye`: its client disconnected on purpose."""

    ends: float
    goodbye: bool


OnGone = Callable[[Sequence[Target]], Awaitable[None]]


class Attendance:
    """Connections attend the session or machine of their scope, and those that they send heartbeats of.

    When the last connection of a target has gone, and none has come within the grace period, `on_gone` is
    called with it. A reconnect within that time has no effect.
    """

    def __init__(self, presence: Presence, replica_id: ReplicaId, grace: float = DEPARTURE_SECONDS) -> None:
        self._presence = presence
        self._replica_id = replica_id
        self._grace = grace
        self._here: dict[Target, set[ConnectionId]] = {}
        self._targets: dict[ConnectionId, list[Target]] = {}
        self._counts: Counter[AccountId] = Counter()
        self._left: dict[Target, Departure] = {}  # the earliest first
        self._worker: asyncio.Task[None] | None = None
        self._on_gone: OnGone | None = None
        self._stopped = False

    def listen(self, on_gone: OnGone) -> None:
        """Set the handler. Without one there are no grace periods."""
        self._on_gone = on_gone

    async def arrive(self, target: Target, connection_id: ConnectionId) -> None:
        """Like `attend`, but returns when other replicas can see the claim."""
        if self._note(target, connection_id):
            await self._presence.claim(target.account_id, target.claim, self._holder(connection_id))

    def attend(self, target: Target, connection_id: ConnectionId) -> None:
        """The connection keeps the target alive. Returns at once; idempotent and cheap."""
        if connection_id not in self._here.get(target, ()) and self._note(target, connection_id):
            self._presence.claim_soon(target.account_id, target.claim, self._holder(connection_id))

    def disconnected(self, connection_id: ConnectionId, *, goodbye: bool = False) -> None:
        """The connection has closed; `goodbye`: its client disconnected on purpose. Returns at once."""
        for target in self._targets.pop(connection_id, ()):
            self._presence.release_soon(target.account_id, target.claim, self._holder(connection_id))
            self._counts[target.account_id] -= 1
            if not self._counts[target.account_id]:
                del self._counts[target.account_id]
            attending = self._here[target]
            attending.discard(connection_id)
            if not attending:
                del self._here[target]
                self._wait_for(target, goodbye=goodbye)

    def is_here(self, target: Target) -> bool:
        """Whether a connection of this replica attends the target."""
        return target in self._here

    async def unattended(self, targets: Sequence[Target]) -> list[Target]:
        """Those that no connection of any replica attends; empty while other replicas are unreachable."""
        try:
            held = await asyncio.gather(*(self._is_held(target) for target in targets))
        except Unavailable:
            return []
        return [target for target, attended in zip(targets, held, strict=True) if not attended]

    async def stop(self) -> None:
        """The server stops: clients of connections that it closes now reconnect to another replica, or later.

        Machines that disconnected on purpose before do not, so their grace period ends now. Sessions
        do not end this way: a session that ends on purpose sends `session-end`.
        """
        self._stopped = True
        left, self._left = self._left, {}
        if self._worker is not None:
            self._worker.cancel()
        gone = [
            target for target, departure in left.items() if departure.goodbye and target.kind == "machine"
        ]
        for first in range(0, len(gone), BATCH):
            await self._report(gone[first : first + BATCH])

    async def drain(self) -> None:
        """Returns when no grace period is running."""
        if self._worker is not None:
            await self._worker

    def _holder(self, connection_id: ConnectionId) -> Holder:
        return Holder(self._replica_id, connection_id)

    def _note(self, target: Target, connection_id: ConnectionId) -> bool:
        targets = self._targets.setdefault(connection_id, [])
        if len(targets) >= MAX_TARGETS or self._counts[target.account_id] >= MAX_ACCOUNT_TARGETS:
            return False
        targets.append(target)
        self._counts[target.account_id] += 1
        self._here.setdefault(target, set()).add(connection_id)
        self._left.pop(target, None)
        return True

    def _wait_for(self, target: Target, *, goodbye: bool) -> None:
        if self._stopped or self._on_gone is None or len(self._left) >= MAX_DEPARTURES:
            return
        loop = asyncio.get_running_loop()
        self._left[target] = Departure(loop.time() + self._grace, goodbye)
        if self._worker is None or self._worker.done():
            self._worker = loop.create_task(self._work())

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._left:
            await asyncio.sleep(max(0.0, next(iter(self._left.values())).ends - loop.time()))
            now = loop.time()
            due = [target for target, departure in self._left.items() if departure.ends <= now][:BATCH]
            for target in due:
                del self._left[target]
            await self._report(due)

    async def _report(self, due: Sequence[Target]) -> None:
        assert self._on_gone is not None, "there are no grace periods without a handler"
        try:
            if gone := await self.unattended(due):
                await self._on_gone(gone)
        except Exception:
            log.warning("sessions or machines whose connections have gone remain active", exc_info=True)

    async def _is_held(self, target: Target) -> bool:
        return target in self._here or await self._presence.is_held(target.account_id, target.claim)
