"""State shared by all connections of one server: connection table, counters, tasks, batched writes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

from happy.gateway.engine.memory import MAX_INCOMPLETE, MAX_UNSENT, SharedBytes
from happy.services.fair_queue import FairQueue
from happy.services.refusals import RefusalKind

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from happy.gateway.engine.application import Application
    from happy.gateway.engine.settings import EngineSettings
    from happy.gateway.engine.transport import TransportOwner
    from happy.services.client_addresses import ClientAddresses
    from happy.services.connection_table import ConnectionTable

logger = logging.getLogger("happy.engine")


TIME_SLICE_SECONDS = 0.002
"""How long packets of one connection are processed before other connections get their turn."""

FULL_READ = 128_000
"""Bytes that arrive at once, behind which there may be more: libuv, which gives up to 256,000, goes on to
read up to 32 times without a break, 8 MB. Whatever they cost, others have their turn before the next ones."""


PUSHED_AT_ONCE = 64
"""Websockets to which frames that are not urgent are written in one iteration: each write takes 10 us."""


class TimeSlice:
    """The time for packets of one connection; it begins when the first one has been processed."""

    __slots__ = ("_end",)

    def __init__(self) -> None:
        self._end = time.perf_counter() + TIME_SLICE_SECONDS

    def is_over(self) -> bool:
        """To be checked before each further packet."""
        return time.perf_counter() > self._end


class BusyTurns:
    """Of the connections that have used up their time slice, one goes on in each iteration of the event loop.

    So a hundred of them take no more time from others than one. Their addresses take turns.
    """

    def __init__(self) -> None:
        self._waiting = FairQueue[None]()
        self._is_planned = False

    async def turn(self, address: str) -> None:
        """Wait for the next time slice."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiting.add(address, waiter)
        if not self._is_planned:
            self._is_planned = True
            loop.call_soon(self._next)
        await waiter

    def _next(self) -> None:
        waiter = self._waiting.pop()
        if waiter is not None:
            waiter.set_result(None)
        self._is_planned = bool(self._waiting)
        if self._is_planned:
            asyncio.get_running_loop().call_soon(self._next)


class Pushable(Protocol):
    """A websocket that has collected frames."""

    def push(self) -> None:
        """Write them to the TCP connection."""


class EngineContext:
    """Settings, the application, the connection table and counters."""

    def __init__(
        self,
        application: Application,
        settings: EngineSettings,
        addresses: ClientAddresses,
        table: ConnectionTable,
    ) -> None:
        self.application = application
        self.settings = settings
        self.addresses = addresses
        self.table = table
        self.refusals = table.refusals
        self.unsent = SharedBytes(MAX_UNSENT, RefusalKind.SLOW_READERS, table.refusals)
        self.incomplete = SharedBytes(MAX_INCOMPLETE, RefusalKind.INCOMPLETE_MESSAGES, table.refusals)
        self.busy = BusyTurns()
        self.connections: dict[str, TransportOwner] = {}  # open ones by session id
        self.unfinished = 0  # opened, and `disconnected` not yet called
        self._idle = asyncio.Event()  # set whenever `unfinished` falls to zero
        self.opened: Counter[str] = Counter()  # by transport
        self.closed: Counter[str] = Counter()  # by reason
        self._tasks: set[asyncio.Task[Any]] = set()
        self.framed = (b"", b"")  # the last packet that was sent, and its frame
        # How websockets write:
        self.receiving = False  # received packets are being processed; `push` is called after them
        self.at_once = False  # the last of them is being processed: what it sends is written at once
        self.to_push: list[Pushable] = []
        self._to_push_at_end: list[Pushable] = []

    def add(self, connection: TransportOwner) -> None:
        self.connections[connection.sid] = connection
        self.opened[connection.transport.name] += 1
        self.unfinished += 1

    def remove(self, connection: TransportOwner, reason: str) -> None:
        """The connection closed; its session id is unknown from here on."""
        del self.connections[connection.sid]
        self.closed[reason] += 1

    def finished(self) -> None:
        """`disconnected` has been called for a connection."""
        self.unfinished -= 1
        if self.unfinished == 0:
            self._idle.set()

    async def wait_idle(self, timeout: float) -> bool:  # noqa: ASYNC109 - it says whether, it does not raise
        """Wait until `disconnected` has been called for every connection; False after `timeout` seconds."""
        self._idle.clear()
        if self.unfinished == 0:
            return True
        try:
            await asyncio.wait_for(self._idle.wait(), timeout)
        except TimeoutError:
            return False
        return True

    def push_soon(self, websocket: Pushable) -> None:
        """Call `push` after the received packets are processed, else at the end of the iteration."""
        if not self.to_push and not self.receiving:
            asyncio.get_running_loop().call_soon(self.push)
        self.to_push.append(websocket)

    def push(self) -> None:
        websockets, self.to_push = self.to_push, []
        for websocket in websockets:
            websocket.push()

    def push_at_end(self, websocket: Pushable) -> None:
        """Call `push` at the end of the event loop iteration; where many have frames, of the next ones."""
        if not self._to_push_at_end:
            asyncio.get_running_loop().call_soon(self._push_at_end)
        self._to_push_at_end.append(websocket)

    def _push_at_end(self) -> None:
        waiting = self._to_push_at_end
        self._to_push_at_end = waiting[PUSHED_AT_ONCE:]
        if self._to_push_at_end:
            asyncio.get_running_loop().call_soon(self._push_at_end)
        for websocket in waiting[:PUSHED_AT_ONCE]:
            websocket.push()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task and keep it alive; its failure is logged."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._reap)
        return task

    def _reap(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("engine task failed", exc_info=error)
