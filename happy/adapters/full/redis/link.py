"""The two connections to Redis: commands in their order, answers, and what is published to this node.

Commands that must not be lost wait through an outage and are sent again, in order, when Redis is back.
"""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError, ResponseError

from happy.adapters.full.redis.address import CONNECT_SECONDS, explanation, parse
from happy.adapters.full.redis.subscriptions import Subscriptions
from happy.adapters.full.redis.wire import Broken, Entry, Part, fail, pack, put
from happy.adapters.steady_clock import steady_time
from happy.domain.errors import Unavailable

ANSWER_SECONDS = 4.0
"""How long Redis may be silent before the connections count as broken."""

TICK_SECONDS = 1.0
PAUSES = (0.05, 0.1, 0.25, 0.5, 1.0)
RECENT_SECONDS = 5.0
"""How long what Redis has confirmed may be sent again, should Redis lose its memory just then."""

MAX_WAITING = 50_000
MAX_BYTES = 64 * 1024 * 1024
BATCH = 512

log = logging.getLogger(__name__)


class RedisLink:
    """`restore` runs whenever Redis is there again, before anything that waits is sent.

    It says whether Redis may have forgotten what it confirmed last.
    """

    def __init__(self, url: str, authority: Path | None = None) -> None:
        address = parse(url, authority)
        self._pool = address.pool()
        self.prefix = f"happy:{address.database}:"
        self.subscriptions = Subscriptions()
        self.on_drop: Callable[[str], None] = lambda _subject: None
        self.restore: Callable[[], Awaitable[bool]] = _nothing
        self.tick: Callable[[], Awaitable[object]] = _nothing
        self.up = False
        self.broke_at = steady_time()
        self.breaks = 0
        self._waiting: deque[Entry] = deque()
        self._waiting_bytes = 0
        self._first: deque[Entry] = deque()
        self._in_flight: deque[Entry] = deque()
        self._recent: deque[Entry] = deque()
        self._dropped: set[str] = set()
        self._work = asyncio.Event()
        self._closing = False

    # For everybody

    @property
    def lag(self) -> float:
        """How long, in s, the oldest command has not been confirmed; while Redis is away, how long it is."""
        if not self.up:
            return steady_time() - self.broke_at
        now = time.monotonic()
        return now - min([queue[0].since for queue in (self._in_flight, self._waiting) if queue], default=now)

    def send(self, *parts: Part) -> None:
        """Sent in order, through outages too. Past the bounds of memory the oldest are dropped, and told."""
        self.send_packed(pack(parts))

    def send_packed(
        self, command: bytes, *, subject: str | None = None, again: Callable[[], bytes] | None = None
    ) -> None:
        """The same for a command as it travels.

        `again` is what to send instead if Redis may have forgotten the command right after it confirmed it.
        """
        self._waiting.append(entry := Entry(command, subject=subject, again=again))
        self._waiting_bytes += len(entry.packed)
        while len(self._waiting) > MAX_WAITING or self._waiting_bytes > MAX_BYTES:
            self._drop(self._waiting.popleft())
        self._work.set()

    async def ask(self, *parts: Part) -> Any:
        """The answer, after everything sent before. Raises Unavailable when Redis is or goes away."""
        if not self.up:
            raise Unavailable("Redis did not answer")
        return await self._ask(self._waiting, parts)

    async def ask_first(self, *parts: Part) -> Any:
        """The same for `restore`, ahead of everything that waits."""
        return await self._ask(self._first, parts)

    async def _ask(self, queue: deque[Entry], parts: tuple[Part, ...]) -> Any:
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        entry = Entry(pack(parts), done)
        queue.append(entry)
        if queue is self._waiting:
            self._waiting_bytes += len(entry.packed)
        self._work.set()
        return await done

    def _drop(self, entry: Entry) -> None:
        self._waiting_bytes -= len(entry.packed)
        if entry.done is not None:
            fail(entry.done)
        elif entry.subject is not None:
            self._dropped.add(entry.subject)

    # One life of the connections

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Connect, and stay connected. Raises Unavailable when the first attempt fails."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        living = loop.create_task(self._live(ready))
        try:
            await ready
            yield
            await self._flush()
        finally:
            self._closing = True
            living.cancel()
            with suppress(asyncio.CancelledError):
                await living
            await self._pool.disconnect()

    async def _flush(self) -> None:
        with suppress(TimeoutError, Unavailable):
            async with asyncio.timeout(1):
                await self.ask("PING")

    async def _live(self, ready: "asyncio.Future[None]") -> None:
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
            failures = len(PAUSES) if refused else 0 if was_up else failures + 1
            if was_up:
                log.warning("Redis is out of reach: %s", explanation(error))
            await asyncio.sleep(PAUSES[min(failures, len(PAUSES) - 1)])

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
                tasks.create_task(self.subscriptions.read(subscriptions))
                tasks.create_task(self._watch())
                if await self.restore():
                    self._send_recent_again()
                self._report_dropped()
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
        """Keep what must be sent again, give up what somebody waits for. True if it was up."""
        was_up, self.up = self.up, False
        if was_up:
            self.broke_at = steady_time()
            self.breaks += 1
        kept = [entry for entry in self._in_flight if entry.done is None]
        for entry in [*self._in_flight, *self._first, *self._waiting]:
            if entry.done is not None:
                fail(entry.done)
        kept += [entry for entry in self._waiting if entry.done is None]
        self.subscriptions.down()
        self._in_flight.clear()
        self._first.clear()
        self._waiting = deque(kept)
        self._waiting_bytes = sum(len(entry.packed) for entry in kept)
        return was_up

    def _send_recent_again(self) -> None:
        for entry in reversed(self._recent):
            assert entry.again is not None, "only what can be sent again is remembered"
            self._waiting.appendleft(fresh := Entry(entry.again(), subject=entry.subject, again=entry.again))
            self._waiting_bytes += len(fresh.packed)
        self._recent.clear()

    def _report_dropped(self) -> None:
        dropped, self._dropped = self._dropped, set()
        for subject in dropped:
            self.on_drop(subject)

    # Commands

    async def _write(self, connection: AbstractConnection) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while batch := self._next_batch():
                self._in_flight += batch
                await put(connection, b"".join([entry.packed for entry in batch]))

    def _next_batch(self) -> list[Entry]:
        if self._first:
            batch = list(self._first)
            self._first.clear()
            return batch
        if not self.up:
            return []
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        self._waiting_bytes -= sum(len(entry.packed) for entry in batch)
        return batch

    async def _read(self, connection: AbstractConnection) -> None:
        while True:
            try:
                answer = await connection.read_response(disable_decoding=True, timeout=math.inf)
            except ResponseError as error:
                answer = error
            self._settle(self._in_flight[0], answer)
            self._in_flight.popleft()

    def _settle(self, entry: Entry, answer: Any) -> None:
        if entry.done is not None:
            if entry.done.done():
                return
            if isinstance(answer, ResponseError):
                entry.done.set_exception(answer)
            else:
                entry.done.set_result(answer)
        elif isinstance(answer, ResponseError):  # out of memory, read-only after a fail-over: begin anew
            raise answer
        elif entry.again is not None:
            self._remember(entry)

    def _remember(self, entry: Entry) -> None:
        entry.since = now = time.monotonic()
        self._recent.append(entry)
        while self._recent[0].since < now - RECENT_SECONDS or len(self._recent) > MAX_WAITING:
            self._recent.popleft()

    async def _watch(self) -> None:
        """Ask for a sign of life on both connections; a broken one may not say so by itself."""
        self.subscriptions.ponged = time.monotonic()
        while True:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self.ask_first("PING")
                if self.up:
                    await self.tick()
            self.subscriptions.ping()
            await asyncio.sleep(TICK_SECONDS)
            if time.monotonic() - self.subscriptions.ponged > ANSWER_SECONDS + TICK_SECONDS:
                raise Broken("Redis does not answer")


async def _nothing() -> bool:
    return False
