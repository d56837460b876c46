"""Channels that this replica is subscribed to, on a connection of their own."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from typing import TYPE_CHECKING

from happy.adapters.full.redis.wire import fail, pack, put

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio.connection import AbstractConnection


class Subscriptions:
    """`ponged` is when Redis last answered a ping on this connection, by `time.monotonic`."""

    def __init__(self) -> None:
        self.ponged = 0.0
        self._awaited: dict[bytes, asyncio.Future[None]] = {}
        self._queue: deque[bytes] = deque()
        self._work = asyncio.Event()

    async def subscribe(self, *channels: str) -> None:
        """Returns when Redis has confirmed. Raises Unavailable."""
        loop = asyncio.get_running_loop()
        futures = []
        for channel in channels:
            name = channel.encode()
            future = self._awaited.get(name)
            if future is None:
                future = self._awaited[name] = loop.create_future()
                self._queue.append(pack(("SUBSCRIBE", name)))
            futures.append(future)
        self._work.set()
        await asyncio.gather(*futures)

    def unsubscribe(self, channel: str) -> None:
        self._command("UNSUBSCRIBE", channel)

    def ping(self) -> None:
        self._command("PING")

    def _command(self, *parts: str) -> None:
        self._queue.append(pack(parts))
        self._work.set()

    def down(self) -> None:
        """The connection is lost: fail what waits for a confirmation."""
        for future in self._awaited.values():
            fail(future)
        self._awaited.clear()
        self._queue.clear()

    async def write(self, connection: AbstractConnection) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._queue:
                batch = b"".join(self._queue)
                self._queue.clear()
                await put(connection, batch)

    async def read(self, connection: AbstractConnection, on_push: Callable[[bytes, bytes], None]) -> None:
        """Calls `on_push` with channel and data of each message."""
        while True:
            kind, channel, *rest = await connection.read_response(disable_decoding=True, timeout=math.inf)
            if kind == b"message":
                on_push(channel, rest[0])
            elif kind == b"subscribe":
                future = self._awaited.pop(channel, None)
                if future is not None and not future.done():
                    future.set_result(None)
            elif kind == b"pong":
                self.ponged = time.monotonic()
