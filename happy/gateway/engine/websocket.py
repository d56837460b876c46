"""The websocket transport directly on a TCP connection, as a protocol class for uvicorn.

A packet is handled in the callback that received it. There is no task and no queue per connection, unless an
event handler has to wait or the peer reads slowly.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, cast

from happy.gateway.engine import frames
from happy.gateway.engine.context import TimeSlice
from happy.gateway.engine.frames import TEXT, FrameError, FrameReader
from happy.gateway.engine.websocket_handshake import shake_hands
from happy.gateway.engine.writer import FrameWriter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from happy.gateway.engine.asgi import Target
    from happy.gateway.engine.connection import Connection
    from happy.gateway.engine.context import EngineContext
    from happy.gateway.engine.transport import Acceptor, Receiver

BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

CLOSE_SECONDS = 5.0
"""How long the peer may take to answer a closing handshake."""

GOODBYE_SECONDS = 1.0
"""The same, when the server stops."""


class LinkState(Enum):
    """The life of a websocket, from its handshake on; it only moves forward.

    An open one is also `ready`, unless the peer reads slowly and packets wait in the connection's queue.
    """

    OPEN = auto()
    DRAINING = auto()  # the peer stopped sending, or the TCP connection is lost: what arrived is processed
    CLOSING = auto()  # a close frame was sent or received: packets that still arrive are discarded


OPEN, DRAINING, CLOSING = LinkState.OPEN, LinkState.DRAINING, LinkState.CLOSING


class WebSocketTransport(FrameWriter):
    """From the websocket handshake to the end of the TCP connection."""

    __slots__ = (
        "_door",
        "_on_pong",
        "_open_links",
        "_reader",
        "_state",
        "_timer",
        "_working",
        "connection",
        "name",
        "ready",
        "receiver",
    )

    def __init__(self, door: Acceptor, runtime: EngineContext, open_links: set[Any]) -> None:
        super().__init__(runtime)
        self.name = "websocket"
        self.ready = False
        self.receiver: Receiver | None = None
        self.connection: Connection | None = None
        self._door = door
        self._open_links = open_links  # uvicorn's, which it closes when it stops
        self._reader: FrameReader | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._working = False  # a task waits for an event handler
        self._state = OPEN
        self._on_pong: Callable[[], None] | None = None

    # Callbacks of the event loop and of uvicorn

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._tcp = cast("asyncio.Transport", transport)
        self._open_links.add(self)

    def data_received(self, data: bytes) -> None:
        reader, connection, runtime = self._reader, self.connection, self._runtime
        runtime.receiving = True
        try:
            if reader is None:
                self._shake_hands(data)
                return
            if connection is not None:
                connection.heard = True  # a large packet may take longer to arrive than a pong may
                reader.limit = connection.max_payload
            receiver = None if self._working or self._state is CLOSING else self.receiver
            if receiver is None or (text := reader.whole_text(data)) is None:
                work = self._collect(reader, data)
            else:
                runtime.at_once = True
                work = receiver.receive(text.decode())
            if work is not None:
                self._start_working(work)
        except UnicodeDecodeError:
            self._fail(frames.CLOSE_NOT_UTF8)
        finally:
            runtime.receiving = runtime.at_once = False
            if runtime.to_push:
                runtime.push()

    def pause_writing(self) -> None:
        self.ready = False

    def resume_writing(self) -> None:
        if self._state is OPEN:
            self.ready = True
            self.flush()

    def eof_received(self) -> None:
        self._peer_leaves(b"", DRAINING)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - how it ended does not matter
        self._open_links.discard(self)
        if self._state is OPEN:
            self._state = DRAINING
        self.ready = False
        if self._timer is not None:
            self._timer.cancel()
        if self.receiver is not None:
            self.receiver.lost()

    def shutdown(self) -> None:
        """Uvicorn stops, and waits a moment for its connections; a peer that has gone will not answer."""
        if self.connection is not None:
            self.connection.close("server shutting down")
        else:
            self.close()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(GOODBYE_SECONDS, self._tcp.abort)

    # Handshake

    def _shake_hands(self, data: bytes) -> None:
        opening = shake_hands(data, self._door)
        if opening is not None and opening.accepted:
            self._enter(opening.target, opening.answer)
            return
        self._tcp.write(BAD_REQUEST if opening is None else opening.answer)
        self._tcp.close()

    def _enter(self, target: Target, answer: bytes) -> None:
        """Answer the handshake and open the session; the two are put, so that they leave with one write."""
        self.ready = True
        self._reader = FrameReader(self._runtime.settings.max_payload_untrusted)
        self._put(answer)
        self._door.enter(target, self)

    @property
    def address(self) -> str:
        peer = self._tcp.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) else ""

    def attach(self, connection: Connection) -> None:
        self.receiver = self.connection = connection

    # Reading

    def _collect(self, reader: FrameReader, data: bytes) -> Awaitable[None] | None:
        """Keep what is not one whole text; process what it completes, unless that is being done already."""
        reader.feed(data)
        return None if self._working else self._advance(reader)

    def _advance(self, reader: FrameReader) -> Awaitable[None] | None:
        """Process what has arrived, up to a packet that has to be waited for, or until it is others' turn."""
        runtime, turn = self._runtime, None
        try:
            while (message := reader.next()) is not None:
                opcode, payload = message
                if self._state is CLOSING or opcode >= frames.CLOSE:
                    self._control(opcode, payload)
                elif self.receiver is not None:
                    runtime.at_once = is_last = not reader.rest
                    work = self.receiver.receive(payload.decode() if opcode == TEXT else payload)
                    if is_last or work is not None:
                        return work
                    turn = turn or TimeSlice()
                    if turn.is_over() and self.connection is not None:
                        return asyncio.sleep(0)
        except FrameError as error:
            self._fail(error.code)
        except UnicodeDecodeError:
            self._fail(frames.CLOSE_NOT_UTF8)
        finally:
            runtime.at_once = False
        return None

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == frames.CLOSE:
            self._peer_leaves(frames.close_answer(payload), CLOSING)
        elif opcode == frames.PING and self.ready:  # who does not read gets no answers to pile up
            self._put(frames.frame(frames.PONG, payload))
        elif opcode == frames.PONG and self._on_pong is not None:
            call, self._on_pong = self._on_pong, None
            call()

    def _peer_leaves(self, answer: bytes, state: LinkState) -> None:
        """Say goodbye and close; the connection ends now, however long the peer takes to read that."""
        if self._state is OPEN:
            self.push()
            self._tcp.write(answer)
            self._timer = asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._tcp.abort)
        if self._state is not CLOSING:
            self._state = state
        self.ready = False
        self._tcp.close()
        if self.receiver is not None:
            self.receiver.lost()

    def _fail(self, code: int) -> None:
        """The peer broke the websocket protocol: tell it, and read no further."""
        self._close(code)
        self._reader = FrameReader(0)
        if not self._tcp.is_closing() and self._tcp.can_write_eof():
            self._tcp.write_eof()  # an answer would not be understood, so do not wait for one
        if self.receiver is not None:
            self.receiver.lost()

    def _start_working(self, work: Awaitable[None]) -> None:
        connection = self.connection
        assert connection is not None, "only a connection has work"
        self._working = True
        if not self._tcp.is_closing():
            self._tcp.pause_reading()
        connection.reader_started()
        self._runtime.spawn(self._work(connection, work))

    async def _work(self, connection: Connection, work: Awaitable[None] | None) -> None:
        """Wait for a handler, then process what had arrived in the meantime."""
        try:
            turn: TimeSlice | None = None
            while work is not None and self._reader is not None:
                await connection.settle(work)
                turn = turn or TimeSlice()
                if turn.is_over():  # handlers that need not wait for anything do not let others in
                    await asyncio.sleep(0)
                    turn = None
                connection.heard = True  # the pong may wait behind what is processed now
                self._reader.limit = connection.max_payload  # which the handler may have raised
                work = self._advance(self._reader)
        finally:
            self._working = False
            if not self._tcp.is_closing():
                self._tcp.resume_reading()
            await connection.reader_ended()

    # Writing

    def on_arrival(self, call: Callable[[], None]) -> None:
        """Ask with a ping of the websocket protocol, which all clients answer by themselves."""
        self._on_pong = call
        self._put(frames.frame(frames.PING, b""))

    def flush(self) -> None:
        self._runtime.at_once = False  # all of it leaves together
        while self.ready and self.connection is not None and (packet := self.connection.take()) is not None:
            self.write(packet)

    # Closing

    def close(self, *, abort: bool = False) -> None:
        if abort:
            self._state = CLOSING
            self.ready = False
            self._tcp.abort()
        else:
            self._close(frames.CLOSE_NORMAL)

    def _close(self, code: int) -> None:
        if self._state is not OPEN:
            return
        self._state = CLOSING
        self.push()
        self.ready = False
        self._tcp.write(frames.close_frame(code))
        self._timer = asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._tcp.abort)
