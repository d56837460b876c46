"""The websocket transport directly on a TCP connection, as a protocol class for uvicorn.

A packet is handled in the callback that received it. There is no task and no queue per connection, unless an
event handler has to wait or the peer reads slowly.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from happy.gateway.engine import frames, reasons
from happy.gateway.engine.context import FULL_READ, TimeSlice
from happy.gateway.engine.frames import FrameError, FrameReader
from happy.gateway.engine.transport import CLOSE_SECONDS, FAILED_SECONDS, SHUTDOWN_SECONDS, LinkState
from happy.gateway.engine.websocket_handshake import MALFORMED, accept_handshake
from happy.gateway.engine.writer import FrameWriter
from happy.services.refusals import RefusalKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from happy.gateway.engine.asgi import Target
    from happy.gateway.engine.context import EngineContext
    from happy.gateway.engine.transport import Acceptor, Receiver, TransportOwner

OPEN, DRAINING, CLOSING, FAILED = LinkState


class WebSocketTransport(FrameWriter):
    """From the websocket handshake to the end of the TCP connection."""

    __slots__ = (
        "_acceptor",
        "_connections",
        "_has_task",
        "_on_pong",
        "_reader",
        "_state",
        "_timer",
        "connection",
        "name",
        "ready",
        "receiver",
    )

    def __init__(self, acceptor: Acceptor, context: EngineContext, connections: set[Any]) -> None:
        super().__init__(context)
        self.name = "websocket"
        self.ready = False
        self.receiver: Receiver | None = None
        self.connection: TransportOwner | None = None
        self._acceptor = acceptor
        self._connections = connections  # uvicorn's, which it closes when it stops
        self._reader: FrameReader | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._has_task = False  # a task waits for an event handler
        self._state = OPEN
        self._on_pong: Callable[[], None] | None = None

    # Callbacks of the event loop and of uvicorn

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._tcp = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        reader, connection, context = self._reader, self.connection, self._context
        context.receiving = True
        try:
            if reader is None:
                self._handshake(data)
                return
            if connection is not None:
                connection.received_since_ping = True  # a large packet may take longer than a pong may
                reader.limit = connection.max_payload
            receiver = None if self._has_task or self._state is CLOSING else self.receiver
            if receiver is None or (text := reader.whole_text(data)) is None:
                work = self._collect(reader, data)
            else:
                context.at_once = True
                work = receiver.receive(text.decode())
            if work is not None:
                self._start_task(work)
        except UnicodeDecodeError:
            self._fail(frames.CLOSE_NOT_UTF8)
        finally:
            context.receiving = context.at_once = False
            if context.to_push:
                context.push()

    def pause_writing(self) -> None:
        self.ready = False

    def resume_writing(self) -> None:
        if self._state is OPEN:
            self.ready = True
            self.flush()

    def eof_received(self) -> None:
        self._close_by_peer(b"", DRAINING)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - how it ended does not matter
        self._connections.discard(self)
        self._context.incomplete.hold(self, 0)
        if self._reader is not None and not self._has_task:
            self._reader.discard()  # the end of it will not come
        if self._state is OPEN:
            self._state = DRAINING
        self.ready = False
        if self._timer is not None:
            self._timer.cancel()
        if self.receiver is not None:
            self.receiver.lost()

    def shutdown(self) -> None:
        """Called when uvicorn stops. A peer that does not respond to the close frame is cut off."""
        if self.connection is not None:
            self.connection.close(reasons.SHUTDOWN)
        else:
            self.close()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(SHUTDOWN_SECONDS, self._tcp.abort)

    # Handshake

    def _handshake(self, data: bytes) -> None:
        handshake = accept_handshake(data, self._acceptor, self.address)
        if handshake is not None and handshake.accepted:
            self._open(handshake.target, handshake.response)
            return
        self._tcp.write(MALFORMED if handshake is None else handshake.response)
        self._tcp.close()

    def _open(self, target: Target, response: bytes) -> None:
        """Respond to the handshake and send the open packet; both are collected into one write."""
        self.ready = True
        self._reader = FrameReader(self._context.settings.max_payload_untrusted)
        self._put(response)
        self._acceptor.open_websocket(target, self)

    def attach(self, connection: TransportOwner) -> None:
        self.receiver = self.connection = connection

    # Reading

    def _collect(self, reader: FrameReader, data: bytes) -> Awaitable[None] | None:
        """Buffer what is not exactly one text frame; process what it completes, unless a task does that."""
        reader.feed(data)
        work = None if self._has_task else self._advance(reader)
        self._context.incomplete.hold_part(self, reader.size)
        if work is None and len(data) >= FULL_READ and self.connection is not None:
            return self._context.busy.turn(self.connection.client_address.text)
        return work

    def give_up(self) -> None:
        """All incomplete messages together are too large, and this one began first."""
        self._state = CLOSING
        if self._reader is not None:
            self._reader.discard()  # now, not when the garbage collector finds it
        self._tcp.abort()

    def _advance(self, reader: FrameReader) -> Awaitable[None] | None:
        """Process buffered messages, up to a handler that must be awaited or the end of the time slice."""
        context, time_slice = self._context, None
        try:
            while (message := reader.next()) is not None:
                opcode, payload = message
                if self._state is CLOSING or opcode >= frames.CLOSE:
                    self._control(opcode, payload)
                elif self.receiver is not None:
                    context.at_once = is_last = not reader.rest
                    work = self.receiver.receive(frames.content(opcode, self._received(payload)))
                    if is_last or work is not None:
                        return work
                time_slice = time_slice or TimeSlice()
                if time_slice.is_over() and self.connection is not None:
                    return context.busy.turn(self.connection.client_address.text)
        except FrameError as error:
            self._fail(error.code)
        except UnicodeDecodeError:
            self._fail(frames.CLOSE_NOT_UTF8)
        finally:
            context.at_once = False
        return None

    def _received(self, payload: bytes | bytearray) -> bytes | bytearray:
        if isinstance(payload, bytearray):  # a long one, which counted while it was incomplete
            self._context.incomplete.hold(self, 0)
        return payload

    def _control(self, opcode: int, payload: bytes | bytearray) -> None:
        if opcode == frames.CLOSE:
            self._close_by_peer(frames.close_response(payload), CLOSING)
        elif opcode == frames.PING and self.ready:  # no pongs pile up for a peer that does not read
            self._put(frames.frame(frames.PONG, payload))
        elif opcode == frames.PONG and self._on_pong is not None:
            call, self._on_pong = self._on_pong, None
            call()
        elif opcode < frames.CLOSE and self._reader is not None:
            self._reader.count_control()  # behind a close: discarded, but not for ever

    def _close_by_peer(self, response: bytes, state: LinkState) -> None:
        """The peer closes: respond and close. The connection ends now, even if the peer does not read."""
        if self._state is OPEN:
            self.push()
            self._tcp.write(response)
            self._timer = asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._tcp.abort)
        if self._state is OPEN or self._state is DRAINING:
            self._state = state
        self.ready = False
        self._tcp.close()
        if self.receiver is not None:
            self.receiver.lost()

    def _fail(self, code: int) -> None:
        """The peer broke the websocket protocol or a limit: send a close frame and read no further."""
        if code == frames.CLOSE_POLICY:
            self._context.refusals(RefusalKind.CONTROL_FRAMES, self.address)
        self._close(code)
        self._stop_reading()
        if self.receiver is not None:
            self.receiver.lost()

    def _stop_reading(self) -> None:
        """Drop what was buffered. The peer has some time to read the close frame, which ends the stream."""
        if self._state is FAILED or self._reader is None:
            return
        self._state, self.ready = FAILED, False
        self._reader.discard()
        if not self._tcp.is_closing():
            self._tcp.pause_reading()
            if self._tcp.can_write_eof():
                self._tcp.write_eof()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(FAILED_SECONDS, self._tcp.abort)

    def _start_task(self, work: Awaitable[None]) -> None:
        connection = self.connection
        assert connection is not None, "only a connection has work"
        self._has_task = True
        if not self._tcp.is_closing():
            self._tcp.pause_reading()
        connection.reader_started()
        self._context.spawn(self._run(connection, work))

    async def _run(self, connection: TransportOwner, work: Awaitable[None] | None) -> None:
        """Await a handler, then process what arrived in the meantime."""
        try:
            time_slice: TimeSlice | None = None
            while work is not None and self._reader is not None:
                await connection.await_handler(work)
                time_slice = time_slice or TimeSlice()
                if time_slice.is_over():  # handlers that never suspend would starve other connections
                    await self._context.busy.turn(connection.client_address.text)
                    time_slice = None
                connection.received_since_ping = True  # the pong may wait behind what is processed now
                self._reader.limit = connection.max_payload  # which the handler may have raised
                work = self._advance(self._reader)
        finally:
            self._has_task = False
            if self._reader is not None and not self._tcp.is_closing():
                self._context.incomplete.hold_part(self, self._reader.size)
            if not self._tcp.is_closing() and self._state is not FAILED:
                self._tcp.resume_reading()
            await connection.reader_ended()

    # Writing

    def call_when_received(self, call: Callable[[], None]) -> None:
        """Sends a websocket ping, which all clients answer by themselves; `call` is called at the pong."""
        self._on_pong = call
        self._put(frames.frame(frames.PING, b""))

    def flush(self) -> None:
        self._context.at_once = False  # the whole queue is sent in one write
        while self.ready and self.connection is not None and (packet := self.connection.pop()) is not None:
            self.write(packet)

    # Closing

    def close(self, *, abort: bool = False) -> None:
        if abort:
            self._state, self.ready = CLOSING, False
            self._tcp.abort()
        else:
            self._close(frames.CLOSE_NORMAL)
            if self.receiver is not None and self.receiver.broken:
                self._stop_reading()

    def _close(self, code: int) -> None:
        if self._state is not OPEN:
            return
        self._state = CLOSING
        self.push()
        self.ready = False
        self._tcp.write(frames.close_frame(code))
        self._timer = asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._tcp.abort)
