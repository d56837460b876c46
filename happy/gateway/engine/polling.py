"""The long-polling transport: packets out as the answer of a waiting GET, in as the body of a POST."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from happy.gateway.engine import packets
from happy.gateway.engine.asgi import BAD_REQUEST, HungUp, TooLarge
from happy.gateway.engine.packets import ProtocolError
from happy.gateway.engine.runtime import logger

if TYPE_CHECKING:
    from happy.gateway.engine.asgi import Receive, Request
    from happy.gateway.engine.connection import Connection

TRANSPORT_ERROR = "transport error"
RELEASE_AFTER = 0.1  # seconds that a poll may wait while the client tries the websocket


class PollingTransport:
    """At most one GET waits and one POST is processed at a time; a second one closes the session."""

    __slots__ = ("_closing", "_posting", "_probed", "_waiting", "connection", "name", "ready")

    def __init__(self) -> None:
        self.name = "polling"
        self.ready = False  # packets always wait for the next poll
        self.connection: Connection | None = None
        self._waiting: asyncio.Future[bool] | None = None
        self._posting = False
        self._probed = False
        self._closing: list[str] | None = None  # the last payload

    def attach(self, connection: Connection) -> None:
        self.connection = connection

    # Transport

    def write(self, packet: str) -> None:  # noqa: ARG002 - never ready, so never written to
        raise AssertionError("a polling client fetches its packets")

    def flush(self) -> None:
        """Let the waiting poll go with what is queued when it gets its turn."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(True)

    def close(self, *, abort: bool = False) -> None:  # noqa: ARG002 - there is no link to cut
        """Release the waiting poll: after an upgrade with nothing, else with the queue and a close packet."""
        connection = self.connection
        if connection is not None and self._waiting is not None:
            upgraded = connection.transport is not self
            self._closing = [packets.NOOP] if upgraded else [*connection.take_all(), packets.CLOSE]
            self.flush()

    def write_message(self, text: str) -> None:  # noqa: ARG002
        raise AssertionError("a polling client fetches its packets")

    # Requests

    async def handle(self, connection: Connection, request: Request) -> None:
        """A GET or POST of a known session."""
        connection.reader_started()
        try:
            if request.method == "GET":
                await self._poll(connection, request)
            elif request.method == "POST":
                await self._post(connection, request)
            else:
                await request.refuse(BAD_REQUEST)
        finally:
            await connection.reader_ended()

    async def _poll(self, connection: Connection, request: Request) -> None:
        if self._waiting is not None:
            connection.close(TRANSPORT_ERROR)
            await request.refuse(BAD_REQUEST)
            return
        if not connection.has_queue and not await self._wait(request.receive):
            connection.close(TRANSPORT_ERROR)
            return
        payload = self._closing or connection.take_all() or [packets.NOOP]
        await request.answer(200, packets.encode_payload(payload))

    async def _wait(self, receive: Receive) -> bool:
        """Wait for something to send; False when the client hangs up."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[bool] = loop.create_future()
        self._waiting = waiting
        watch = loop.create_task(_hang_up(receive, waiting))
        if self._probed:
            loop.call_later(RELEASE_AFTER, self.flush)
        try:
            return await waiting
        finally:
            self._waiting = None
            watch.cancel()

    async def _post(self, connection: Connection, request: Request) -> None:
        if self._posting:
            connection.close(TRANSPORT_ERROR)
            await request.refuse(BAD_REQUEST)
            return
        self._posting = True
        try:
            await self._receive(connection, request)
        finally:
            self._posting = False

    async def _receive(self, connection: Connection, request: Request) -> None:
        try:
            received = packets.decode_payload(await request.body(connection.max_payload))
        except HungUp:
            connection.close(TRANSPORT_ERROR)
            return
        except TooLarge:
            connection.close(TRANSPORT_ERROR)
            await request.refuse(BAD_REQUEST, 413)
            return
        except ProtocolError as error:
            logger.info("connection %s: %s", connection.sid, error)
            connection.close("parse error")
            await request.refuse(BAD_REQUEST)
            return
        await self._process(connection, received)
        if connection.broken:
            await request.refuse(BAD_REQUEST)
        else:
            await request.answer(200, b"ok")

    async def _process(self, connection: Connection, received: list[str | bytes]) -> None:
        for packet in received:
            work = connection.receive(packet)
            if work is not None:
                await connection.settle(work)
            if connection.broken:
                return

    # Upgrade

    def probed(self, *, active: bool) -> None:
        """While the client tries the websocket its polls are released soon, so that it can switch over."""
        self._probed = active
        if active:
            self.flush()

    @property
    def busy(self) -> bool:
        """A POST is still being processed."""
        return self._posting


async def _hang_up(receive: Receive, waiting: asyncio.Future[bool]) -> None:
    """Wake the poll when its client has gone."""
    message = await receive()
    while message["type"] == "http.request":
        message = await receive()
    if not waiting.done():
        waiting.set_result(False)
