"""Backpressure and order for events of one connection that wait for the store, so that they share commits.

A connection sends `m1 m2 m3 u1` for one session: three messages and an update of its state. The messages are
appended to the log in order, without waiting for each other's commit. The update starts after their commits,
and a later message after the update. Events of another session wait for none of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from happy.limits import limit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine
    from typing import Any

    from happy.gateway.engine import Ack

MAX_WORKS = limit(
    32,
    "events that wait for the store",
    per="connection",
    then="no more of the connection is read until one has ended",
)
MAX_BYTES = limit(
    4_000_000,
    "bytes of events that wait for the store",
    per="connection",
    then="no more of the connection is read until one has ended",
)
"""Of one connection. Beyond that no more of it is read until one has ended (backpressure)."""

MAX_SHARED_WORKS = limit(
    512,
    "events of all connections that wait for the store",
    per="replica",
    then="each connection may have one in flight",
)
MAX_SHARED_BYTES = limit(
    64_000_000,
    "bytes of events of all connections that wait for the store",
    per="replica",
    then="each connection may have one in flight",
)
"""Of all connections, the first of each not counted. Beyond that each may have one in flight."""

OVERLAPPING = frozenset(
    {
        "message",
        "usage-report",
        "update-metadata",
        "update-state",
        "session-end",
        "machine-update-metadata",
        "machine-update-state",
        "artifact-read",
        "artifact-update",
        "artifact-create",
        "artifact-delete",
        "access-key-get",
    }
)
"""Events whose handlers use `InFlight`. Any other event is handled after all of these have ended."""

Key = tuple[str, str]
"""What an event changes: a kind and an id."""

Last = tuple["asyncio.Task[None]", "asyncio.Task[None] | None", bool]
"""The latest work for a key, what it waited for, and whether a next one may overlap with it."""

log = logging.getLogger(__name__)


class SharedBounds:
    """Number and bytes of the works in flight of all connections, the first of each not counted."""

    __slots__ = ("size", "works")

    def __init__(self) -> None:
        self.works = 0
        self.size = 0

    @property
    def reached(self) -> bool:
        return self.works >= MAX_SHARED_WORKS or self.size >= MAX_SHARED_BYTES


class OrderedAck:
    """An acknowledgement that is sent after those before it."""

    __slots__ = ("_ack", "_queue", "args")

    def __init__(self, ack: Ack, queue: deque[OrderedAck]) -> None:
        self.args: bytes | None = None
        self._ack = ack
        self._queue = queue
        queue.append(self)

    def __call__(self, args: bytes) -> None:
        self.args, queue = args, self._queue
        while queue and (first := queue[0]).args is not None:
            queue.popleft()
            first._ack(first.args)  # noqa: SLF001 - one of this class


class InFlight:
    """The works of one connection in flight. To start one returns what to await before reading more."""

    __slots__ = ("_acks", "_last", "_shared", "_size", "_tasks", "_waiters")

    def __init__(self, shared: SharedBounds) -> None:
        self._shared = shared
        self._tasks: set[asyncio.Task[None]] = set()
        self._size = 0
        self._last: dict[Key, Last] = {}
        self._acks: deque[OrderedAck] = deque()
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def busy(self) -> bool:
        return bool(self._tasks)

    def in_order(self, ack: Ack | None) -> OrderedAck | None:
        """The acknowledgement of the next message; it must be called once."""
        return None if ack is None else OrderedAck(ack, self._acks)

    def overlap(self, key: Key, work: Coroutine[Any, Any, None], size: int) -> Awaitable[None] | None:
        """Start work that keeps its order by itself if it begins in that order, as appends of messages do."""
        last = self._last.get(key)
        if last is None:
            return self._start(key, work, size, None, overlaps=True)
        task, gate, overlaps = last
        return self._start(key, work, size, gate if overlaps else task, overlaps=True)

    def follow(self, key: Key, work: Coroutine[Any, Any, None], size: int = 0) -> Awaitable[None] | None:
        """Start work when all for the same key has ended."""
        last = self._last.get(key)
        return self._start(key, work, size, None if last is None else last[0], overlaps=False)

    def _start(
        self,
        key: Key,
        work: Coroutine[Any, Any, None],
        size: int,
        gate: asyncio.Task[None] | None,
        *,
        overlaps: bool,
    ) -> Awaitable[None] | None:
        counted = bool(self._tasks)
        if gate is not None:
            work = _after(gate, work)
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        self._last[key] = (task, gate, overlaps)
        self._size += size
        if counted:
            self._shared.works += 1
            self._shared.size += size
        task.add_done_callback(partial(self._ended, key, size, counted))
        if not counted and size < MAX_BYTES and not self._shared.works:  # the usual case
            return None
        return None if self._has_room() else self._room()

    def _ended(self, key: Key, size: int, counted: bool, task: asyncio.Task[None]) -> None:  # noqa: FBT001
        self._tasks.discard(task)
        if self._last[key][0] is task:
            del self._last[key]
        self._size -= size
        if counted:
            self._shared.works -= 1
            self._shared.size -= size
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("event handler failed", exc_info=error)
        if self._waiters:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    async def ended(self) -> None:
        """Wait for everything that is in flight."""
        while self._tasks:
            await self._change()

    async def _room(self) -> None:
        while not self._has_room():
            await self._change()

    def _has_room(self) -> bool:
        if not self._tasks:
            return True
        return len(self._tasks) < MAX_WORKS and self._size < MAX_BYTES and not self._shared.reached

    async def _change(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter


async def _after(gate: asyncio.Task[None], work: Coroutine[Any, Any, None]) -> None:
    try:
        await asyncio.wait([gate])
    except BaseException:
        work.close()
        raise
    await work
