"""The two connections to Redis: pipelined commands with their responses, and subscriptions.

Commands that must not be lost are queued through an outage and sent again, in order, after reconnecting.
"""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError, ResponseError

from happy.adapters.full.redis.address import CONNECT_SECONDS, explanation, parse
from happy.adapters.full.redis.recent_commands import RecentCommands
from happy.adapters.full.redis.subscriptions import Subscriptions
from happy.adapters.full.redis.wire import Broken, Entry, Part, fail, pack, put
from happy.adapters.steady_clock import steady_time
from happy.domain.errors import Unavailable
from happy.limits import limit

REPLY_SECONDS = 4.0
"""Timeout of a ping, in s: after it both connections are closed and opened again."""

TICK_SECONDS = 1.0
RECONNECT_PAUSES = (0.05, 0.1, 0.25, 0.5, 1.0)
MAX_QUEUED = limit(
    50_000, "commands that wait for Redis", per="replica", then="dropped; clients are resynced"
)
MAX_BYTES = limit(
    64 * 1024 * 1024,
    "bytes of commands that wait for Redis",
    per="replica",
    then="dropped; clients are resynced",
)
BATCH = 512

log = logging.getLogger(__name__)


class LinkHandler:
    """What a link calls; the methods of this base do nothing."""

    async def restore(self) -> bool:
        """After every connect, before queued commands are sent: whether Redis may lack confirmed ones."""
        return False

    async def tick(self) -> None:
        """Every `TICK_SECONDS` while Redis is connected."""

    def on_push(self, channel: bytes, data: bytes) -> None:
        """Redis has pushed `data` on a channel that is subscribed to."""

    def on_drop(self, subject: str) -> None:
        """A command with this subject was dropped: more were queued than the limits allow."""


class RedisLink:
    def __init__(self, url: str, authority: Path | None = None) -> None:
        address = parse(url, authority)
        self._pool = address.pool()
        self.prefix = f"happy:{address.database}:"
        self.subscriptions = Subscriptions()
        self.up = False
        self.broke_at = steady_time()
        self.breaks = 0
        self._queue: deque[Entry] = deque()
        self._queued_bytes = 0
        self._priority_queue: deque[Entry] = deque()
        self._in_flight: deque[Entry] = deque()
        self._recent = RecentCommands()
        self._work = asyncio.Event()
        self._handler = LinkHandler()
        self._closing = False

    # Commands

    @property
    def lag(self) -> float:
        """The age of the oldest unconfirmed command, in s; during an outage, the time since it began."""
        if not self.up:
            return steady_time() - self.broke_at
        now = time.monotonic()
        return now - min([queue[0].since for queue in (self._in_flight, self._queue) if queue], default=now)

    def send(self, *parts: Part) -> None:
        """Queue a command, also during outages. Beyond MAX_QUEUED or MAX_BYTES the oldest are dropped."""
        self.send_packed(pack(parts))

    def send_packed(
        self, command: bytes, *, subject: str | None = None, again: Callable[[], bytes] | None = None
    ) -> None:
        """The same for a packed command.

        `again` makes the command to send if Redis may have lost this one right after confirming it;
        `on_drop` of the handler gets the `subject` of a dropped command.
        """
        self._queue.append(entry := Entry(command, subject=subject, again=again))
        self._queued_bytes += len(entry.packed)
        while len(self._queue) > MAX_QUEUED or self._queued_bytes > MAX_BYTES:
            self._drop(self._queue.popleft())
        self._work.set()

    async def execute(self, *parts: Part) -> Any:
        """The response, after everything sent before. Raises Unavailable while Redis is out of reach."""
        return await self.execute_soon(*parts)

    def execute_soon(self, *parts: Part) -> asyncio.Future[Any]:
        """The same without waiting; the future fails with Unavailable if Redis goes meanwhile."""
        if not self.up:
            raise Unavailable("Redis did not answer")
        return self._execute(self._queue, parts)

    async def execute_first(self, *parts: Part) -> Any:
        """The same for the handler, ahead of all queued commands."""
        return await self._execute(self._priority_queue, parts)

    def _execute(self, queue: deque[Entry], parts: tuple[Part, ...]) -> asyncio.Future[Any]:
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        entry = Entry(pack(parts), done)
        queue.append(entry)
        if queue is self._queue:
            self._queued_bytes += len(entry.packed)
        self._work.set()
        return done

    def _drop(self, entry: Entry) -> None:
        self._queued_bytes -= len(entry.packed)
        if entry.done is not None:
            fail(entry.done)
        elif entry.subject is not None:
            self._handler.on_drop(entry.subject)

    # Connecting

    @asynccontextmanager
    async def open(self, handler: LinkHandler) -> AsyncIterator[None]:
        """Connect, and reconnect after outages. Raises Unavailable when the first attempt fails."""
        self._handler = handler
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        reconnecting = loop.create_task(self._reconnect(ready))
        try:
            await ready
            yield
            await self._flush()
        finally:
            self._closing = True
            reconnecting.cancel()
            with suppress(asyncio.CancelledError):
                await reconnecting
            await self._pool.disconnect()

    async def _flush(self) -> None:
        with suppress(TimeoutError, Unavailable):
            async with asyncio.timeout(1):
                await self.execute("PING")

    async def _reconnect(self, ready: "asyncio.Future[None]") -> None:
        failures = 0
        while True:
            error: BaseException = Broken()
            try:
                await self._session(ready)
            except* (RedisError, OSError, TimeoutError, Broken, Unavailable) as group:
                error = group.exceptions[0]
            except* Exception as group:
                log.exception("the connection to Redis failed")
                error = group.exceptions[0]
            was_up = self._down()
            if self._closing:  # before Python 3.13 a task group that fails just then forgets the cancellation
                return
            if not ready.done():
                ready.set_exception(Unavailable(explanation(error)))
                return
            refused = isinstance(error, ResponseError)
            failures = len(RECONNECT_PAUSES) if refused else 0 if was_up else failures + 1
            if was_up:
                log.warning("Redis is out of reach: %s", explanation(error))
            await asyncio.sleep(RECONNECT_PAUSES[min(failures, len(RECONNECT_PAUSES) - 1)])

    async def _session(self, ready: "asyncio.Future[None]") -> None:
        make: Callable[[], AbstractConnection] = self._pool.make_connection
        commands, subscriptions = make(), make()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):  # the library bounds only the first part of it
                await commands.connect()  # type: ignore[no-untyped-call]
                await subscriptions.connect()  # type: ignore[no-untyped-call]
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._write(commands))
                tasks.create_task(self._read(commands))
                tasks.create_task(self.subscriptions.write(subscriptions))
                tasks.create_task(self.subscriptions.read(subscriptions, self._handler.on_push))
                tasks.create_task(self._watch())
                if await self._handler.restore():
                    self._send_recent_again()
                self.up = True
                self._work.set()
                log.info("Redis is connected")
                if not ready.done():
                    ready.set_result(None)
        finally:
            for connection in (commands, subscriptions):
                with suppress(Exception):
                    await connection.disconnect(nowait=True)

    def _down(self) -> bool:
        """Queue unconfirmed commands again, and fail those with a response awaited. True if it was up."""
        was_up, self.up = self.up, False
        if was_up:
            self.broke_at = steady_time()
            self.breaks += 1
        kept = [entry for entry in self._in_flight if entry.done is None]
        for entry in [*self._in_flight, *self._priority_queue, *self._queue]:
            if entry.done is not None:
                fail(entry.done)
        kept += [entry for entry in self._queue if entry.done is None]
        self.subscriptions.down()
        self._in_flight.clear()
        self._priority_queue.clear()
        self._queue = deque(kept)
        self._queued_bytes = sum(len(entry.packed) for entry in kept)
        return was_up

    def _send_recent_again(self) -> None:
        for entry in reversed(self._recent.take()):
            self._queue.appendleft(entry)
            self._queued_bytes += len(entry.packed)
        for subject in self._recent.take_forgotten():
            self._handler.on_drop(subject)

    # Pipelining

    async def _write(self, connection: AbstractConnection) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while batch := self._next_batch():
                self._in_flight += batch
                await put(connection, b"".join([entry.packed for entry in batch]))

    def _next_batch(self) -> list[Entry]:
        if self._priority_queue:
            batch = list(self._priority_queue)
            self._priority_queue.clear()
            return batch
        if not self.up:
            return []
        batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
        self._queued_bytes -= sum(len(entry.packed) for entry in batch)
        return batch

    async def _read(self, connection: AbstractConnection) -> None:
        while True:
            try:
                response = await connection.read_response(disable_decoding=True, timeout=math.inf)
            except ResponseError as error:
                response = error
            self._complete(self._in_flight[0], response)
            self._in_flight.popleft()

    def _complete(self, entry: Entry, response: Any) -> None:
        if entry.done is not None:
            if entry.done.done():
                return
            if isinstance(response, ResponseError):
                entry.done.set_exception(response)
            else:
                entry.done.set_result(response)
        elif isinstance(response, ResponseError):  # out of memory, or read-only after a failover: reconnect
            raise response
        elif entry.again is not None:
            self._recent.add(entry, entry.again)

    async def _watch(self) -> None:
        """Ping on both connections: a broken one may never report an error by itself."""
        self.subscriptions.ponged = time.monotonic()
        while True:
            async with asyncio.timeout(REPLY_SECONDS):
                await self.execute_first("PING")
                if self.up:
                    await self._handler.tick()
            self.subscriptions.ping()
            await asyncio.sleep(TICK_SECONDS)
            if time.monotonic() - self.subscriptions.ponged > REPLY_SECONDS + TICK_SECONDS:
                raise Broken("Redis does not answer")
