"""The long-polling transport: packets are sent as responses to GET, and received as bodies of POST."""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING

from happy.gateway.engine import packets
from happy.gateway.engine.asgi import BAD_REQUEST, ClientDisconnected, TooLarge
from happy.gateway.engine.context import TimeSlice, logger
from happy.gateway.engine.packets import ProtocolError
from happy.gateway.engine.reasons import PARSE_ERROR, TRANSPORT_CLOSE, TRANSPORT_ERROR

if TYPE_CHECKING:
    from collections.abc import Callable

    from happy.gateway.engine.asgi import Receive, Request
    from happy.gateway.engine.context import EngineContext
    from happy.gateway.engine.transport import TransportOwner

RELEASE_SECONDS = 0.1  # seconds that a poll may wait while the client tries the websocket


class UpgradePhase(Enum):
    """How polls are answered while the client tries the websocket."""

    NONE = auto()  # there is no such trial
    HOLD_POLLS = auto()  # none is answered
    RELEASE_POLL = auto()  # the next is answered at once with a noop: the queue will follow on the websocket
    RELEASE_SOON = auto()  # the client polls nevertheless: each is answered after `RELEASE_SECONDS`


class PollingTransport:
    """At most one GET waits and one POST is processed at a time; a second one closes the connection."""

    __slots__ = (
        "_body",
        "_closing",
        "_context",
        "_on_poll",
        "_phase",
        "_posting",
        "_waiting",
        "connection",
        "name",
        "ready",
    )

    def __init__(self, context: EngineContext) -> None:
        self.name = "polling"
        self._context = context
        self.ready = False  # packets always wait for the next poll
        self.connection: TransportOwner | None = None
        self._waiting: asyncio.Future[bool] | None = None
        self._posting = False
        self._body: asyncio.Task[bytes] | None = None  # is being read
        self._phase = UpgradePhase.NONE
        self._on_poll: Callable[[], None] | None = None
        self._closing: list[bytes] | None = None  # the last payload

    def attach(self, connection: TransportOwner) -> None:
        self.connection = connection

    # Transport

    def write(self, packet: bytes) -> None:  # noqa: ARG002 - never ready, so never written to
        raise AssertionError("polling sends packets as responses to polls only")

    write_soon = write

    def flush(self) -> None:
        """Answer the waiting poll with the queue, unless polls are held."""
        held = self._phase is UpgradePhase.HOLD_POLLS
        if not held and self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(True)

    def close(self, *, abort: bool = False) -> None:  # noqa: ARG002 - there is no link to cut
        """Answer the waiting poll: with a noop after an upgrade or a close by the client, else with the
        queue, or a close packet if that is empty.

        Never with both: the official client closes before it hands out the messages of the same payload, and
        then hands them out after its next connect, when recovery has sent them once more.
        """
        connection = self.connection
        self._phase = UpgradePhase.NONE
        if self._body is not None:
            self._body.cancel()
        if connection is not None and self._waiting is not None:
            if connection.transport is not self or connection.reason == TRANSPORT_CLOSE:
                self._closing = [packets.NOOP_PACKET]
            else:
                self._closing = connection.pop_all() or [packets.CLOSE_PACKET]
            self.flush()

    # Requests

    async def handle(self, connection: TransportOwner, request: Request) -> None:
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

    async def _poll(self, connection: TransportOwner, request: Request) -> None:
        if self._waiting is not None:
            connection.close(TRANSPORT_ERROR)
            await request.refuse(BAD_REQUEST)
            return
        if self._must_wait(connection) and not await self._wait(request.receive):
            connection.close(TRANSPORT_ERROR)
            return
        await request.respond(200, packets.encode_payload(self._closing or self._next(connection)))

    def _must_wait(self, connection: TransportOwner) -> bool:
        if self._phase in {UpgradePhase.HOLD_POLLS, UpgradePhase.RELEASE_POLL}:
            return self._phase is UpgradePhase.HOLD_POLLS
        return not connection.has_queue

    def _next(self, connection: TransportOwner) -> list[bytes]:
        """The packets that answer a poll."""
        if self._phase is UpgradePhase.RELEASE_POLL:
            self._phase = UpgradePhase.RELEASE_SOON
            return [packets.NOOP_PACKET]
        return connection.pop_all() or [packets.NOOP_PACKET]

    async def _wait(self, receive: Receive) -> bool:
        """Wait for something to send; False if the client disconnects."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[bool] = loop.create_future()
        self._waiting = waiting
        self._notify()
        disconnect = loop.create_task(_wait_for_disconnect(receive, waiting))
        if self._phase is UpgradePhase.RELEASE_SOON:
            loop.call_later(RELEASE_SECONDS, self.flush)
        try:
            return await waiting
        finally:
            self._waiting = None
            disconnect.cancel()

    async def _post(self, connection: TransportOwner, request: Request) -> None:
        if self._posting:
            connection.close(TRANSPORT_ERROR)
            await request.refuse(BAD_REQUEST)
            return
        self._posting = True
        try:
            await self._receive(connection, request)
        finally:
            self._posting = False

    async def _read(self, connection: TransportOwner, request: Request) -> bytes:
        """The body. Closing the connection cancels the read, which a broken link might never end."""
        hold = partial(self._context.incomplete.hold_part, self)
        self._body = asyncio.get_running_loop().create_task(request.body(connection.max_payload, hold))
        try:
            return await self._body
        except asyncio.CancelledError:
            if connection.closed and self._body.cancelled():
                raise ClientDisconnected from None
            raise
        finally:
            self._body = None
            hold(0)

    def give_up(self) -> None:
        """All incomplete messages together are too large, and this one began first."""
        if self.connection is not None:
            self.connection.close(TRANSPORT_ERROR)

    async def _receive(self, connection: TransportOwner, request: Request) -> None:
        try:
            received = packets.decode_payload(await self._read(connection, request))
        except ClientDisconnected:
            connection.close(TRANSPORT_ERROR)
            await request.refuse(BAD_REQUEST)
            return
        except TooLarge:
            connection.close(TRANSPORT_ERROR)
            await request.refuse(BAD_REQUEST, 413)
            return
        except ProtocolError as error:
            logger.info("connection %s: %s", connection.sid, error)
            connection.close(PARSE_ERROR)
            await request.refuse(BAD_REQUEST)
            return
        await self._process(connection, received)
        if connection.broken:
            await request.refuse(BAD_REQUEST)
        else:
            await request.respond(200, b"ok")

    async def _process(self, connection: TransportOwner, received: list[str | bytes]) -> None:
        time_slice: TimeSlice | None = None
        for packet in received:
            connection.received_since_ping = True
            work = connection.receive(packet)
            if work is not None:
                await connection.await_handler(work)
            time_slice = time_slice or TimeSlice()
            if time_slice.is_over():
                await self._context.busy.turn(connection.client_address.text)
                time_slice = None
            if connection.broken:
                return

    # Upgrade

    def hold_polls(self, on_poll: Callable[[], None]) -> None:
        """Answer no poll until `release_poll` or `end_upgrade`; call back when one waits."""
        self._phase = UpgradePhase.HOLD_POLLS
        self._on_poll = on_poll
        if self._waiting is not None and not self._waiting.done():
            self._notify()

    def _notify(self) -> None:
        call, self._on_poll = self._on_poll, None
        if call is not None:
            call()

    def release_poll(self) -> None:
        """Answer the held poll, for which the client waits before it switches over."""
        self._phase = UpgradePhase.RELEASE_POLL
        self.flush()

    def end_upgrade(self) -> None:
        """The upgrade is complete or has failed: answer polls as usual."""
        self._phase = UpgradePhase.NONE
        self._on_poll = None
        if self.connection is not None and self.connection.has_queue:
            self.flush()

    @property
    def busy(self) -> bool:
        """A POST is still being processed."""
        return self._posting


async def _wait_for_disconnect(receive: Receive, waiting: asyncio.Future[bool]) -> None:
    """Wake the poll when its client has disconnected."""
    message = await receive()
    while message["type"] == "http.request":
        message = await receive()
    if not waiting.done():
        waiting.set_result(False)
