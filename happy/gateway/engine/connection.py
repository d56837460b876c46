"""One Engine.IO session: heartbeat, bounded send queue, transport upgrade and close."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from happy.gateway.engine import packets
from happy.gateway.engine.context import logger
from happy.gateway.engine.flood import MAX_PONG_SECONDS, STUCK_PINGS, ControlBudget, kept_headers
from happy.gateway.engine.packets import MESSAGE, ProtocolError
from happy.gateway.engine.reasons import CROWDED, OVERFLOW, PARSE_ERROR, PING_TIMEOUT, TRANSPORT_CLOSE
from happy.gateway.engine.socket_io_session import SocketIoSession
from happy.services.connection_table import Standing
from happy.services.refusals import RefusalKind

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from happy.gateway.engine.asgi import Headers
    from happy.gateway.engine.context import EngineContext
    from happy.gateway.engine.settings import EngineSettings
    from happy.gateway.engine.transport import Transport


class Connection:
    """Receives packets from the readers of its transport; finished when closed and without readers."""

    __slots__ = (
        "_busy",
        "_context",
        "_control_budget",
        "_entry",
        "_finished",
        "_head",
        "_loop",
        "_pinged",
        "_queue",
        "_queued_bytes",
        "_readers",
        "_session",
        "_stuck_pings",
        "_timer",
        "broken",
        "client_address",
        "closed",
        "headers",
        "last_acknowledged",
        "max_payload",
        "peer",
        "probe",
        "reason",
        "received_since_ping",
        "sid",
        "transport",
    )

    def __init__(
        self, context: EngineContext, sid: str, headers: Headers, transport: Transport, peer: str = ""
    ) -> None:
        """`peer` is the IP address at the other end of the TCP connection."""
        self.sid = sid
        self.peer = peer  # IP address at the other end of the TCP connection
        self.headers = kept_headers(headers)
        self.client_address = context.addresses.of(peer, headers)  # also behind trusted proxies
        self.transport = transport
        self.probe: Transport | None = None  # a websocket that may replace the polling transport
        self.closed = False
        self.broken = False  # the peer broke the protocol: its other packets are not processed
        self.reason = ""
        self.received_since_ping = False
        # Bytes that the peer may send at once: less before it is authenticated, to bound memory.
        self.max_payload = context.settings.max_payload_untrusted
        self.last_acknowledged = 0.0  # when the last ping that was answered was sent
        self._pinged = 0.0
        self._context = context
        self._control_budget = ControlBudget()
        self._loop = asyncio.get_running_loop()
        self._session = SocketIoSession(self, context)
        self._queue: deque[bytes] | None = None  # most connections never need one
        self._queued_bytes = 0
        self._head: bytes | None = None  # the first of the queue at the last ping
        self._stuck_pings = 0
        self._readers = 0
        self._busy = self._finished = False
        self._timer = self._loop.call_later(context.settings.ping_interval, self._ping)
        context.add(self)
        counted = context.addresses.counted(peer, self.client_address)
        self._entry = context.table.admit(counted, partial(self.close, CROWDED, abort=True))

    def open_packet(self) -> bytes:
        """The Engine.IO open packet, with the session id and the intervals."""
        settings = self._context.settings
        fields = {
            "sid": self.sid,
            "upgrades": ["websocket"] if self.transport.name == "polling" else [],
            "pingInterval": round(settings.ping_interval * 1000),
            "pingTimeout": round(settings.ping_timeout * 1000),
            "maxPayload": settings.max_payload,
        }
        return packets.encode_open(fields)

    @property
    def settings(self) -> EngineSettings:
        return self._context.settings

    def authenticated(self) -> None:
        """The application has accepted the client: it may send larger payloads."""
        self._entry.standing = Standing.MEMBER
        self.max_payload = self._context.settings.max_payload

    @property
    def has_queue(self) -> bool:
        return bool(self._queue)

    # Sending

    def send(self, packet: bytes, *, soon: bool = False) -> None:
        """Send an Engine.IO packet now or queue it; never blocks, never raises, does nothing once closed.

        With `soon`, it is sent at the end of the event loop iteration, in one write with others.
        """
        if self.transport.ready and not self._queue:
            if soon:
                self.transport.write_soon(packet)
            else:
                self.transport.write(packet)
        elif not self.closed:
            self._enqueue(packet)

    def _enqueue(self, packet: bytes) -> None:
        if self._queue is None:
            self._queue = deque()
        settings = self._context.settings
        if len(self._queue) >= settings.queue_packets or self._queued_bytes > settings.queue_bytes:
            self.close(OVERFLOW, abort=True)
            return
        self._queue.append(packet)
        self._count_queued(self._queued_bytes + len(packet))
        if self._context.unsent.is_exceeded():
            self._context.unsent.close_largest()
        self.transport.flush()

    def _count_queued(self, size: int) -> None:
        self._queued_bytes = size
        self._context.unsent.hold(self, size)

    def give_up(self) -> None:
        """All connections together have too many packets that wait, and this one has most of them."""
        self.close(OVERFLOW, abort=True)

    def pop(self) -> bytes | None:
        """Take the next packet from the queue."""
        if not self._queue:
            return None
        packet = self._queue.popleft()
        self._count_queued(self._queued_bytes - len(packet))
        if not self._queue:
            self._queue = None
        return packet

    def pop_all(self) -> list[bytes]:
        """Empty the queue."""
        taken, self._queue = self._queue, None
        self._count_queued(0)
        return list(taken or ())

    # Receiving

    def receive(self, packet: str | bytes | bytearray) -> Awaitable[None] | None:
        """Process a packet; the reader must `await_handler` an awaitable before the next one."""
        try:
            if not isinstance(packet, str):
                return self._session.data(packet)
            if packet[:1] == MESSAGE:
                return self._session.message(packet)
            if packet[:1] == packets.BINARY:  # of a client whose websocket carries text alone
                return self._session.binary(packets.decode_binary(packet))
            self._control(packet)
        except ProtocolError as error:
            logger.info("connection %s: %s", self.sid, error)
            self.broken = True
            self.close(PARSE_ERROR)
        except Exception:  # noqa: BLE001 - an error of the application is logged, the connection remains
            logger.exception("connection %s: event handler failed", self.sid)
        return None

    async def await_handler(self, work: Awaitable[None]) -> None:
        """Await the handler of a packet; exceptions are logged."""
        self._busy = True
        try:
            await work
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
            logger.exception("connection %s: event handler was cancelled", self.sid)
        except Exception:  # noqa: BLE001 - an error of the application is logged, the connection remains
            logger.exception("connection %s: event handler failed", self.sid)
        finally:
            self._busy = False

    def _control(self, packet: str) -> None:
        if self._control_budget.is_exceeded():
            self._context.refusals(RefusalKind.CONTROL_PACKETS, self.client_address.text)
            raise ProtocolError("too many packets without a message")
        if packet == packets.PONG:
            if self._pinged > self.last_acknowledged:  # without a ping, it would only delay the next one
                self.last_acknowledged = self._pinged
                self._timer.cancel()
                self._timer = self._loop.call_later(self._context.settings.ping_interval, self._ping)
        elif packet == packets.CLOSE:
            self.close(TRANSPORT_CLOSE)
        elif packet not in {packets.NOOP, packets.UPGRADE}:
            raise ProtocolError("unexpected Engine.IO packet")

    # Heartbeat

    def _ping(self) -> None:
        if self._is_stuck():
            self.close(OVERFLOW, abort=True)
            return
        self.received_since_ping = False
        self._pinged = time.monotonic()
        self._timer = self._loop.call_later(self._context.settings.ping_timeout, self._pong_is_due)
        self.send(packets.PING_PACKET)

    def _is_stuck(self) -> bool:
        """Whether the packet that is to be sent next is the same as at the last pings."""
        head = self._queue[0] if self._queue else None
        self._stuck_pings = self._stuck_pings + 1 if head is not None and head is self._head else 0
        self._head = head
        return self._stuck_pings >= STUCK_PINGS

    def _pong_is_due(self) -> None:
        is_alive = self._busy or self.received_since_ping
        if (
            is_alive and time.monotonic() - self._pinged < MAX_PONG_SECONDS
        ):  # the pong may wait behind other packets
            self.received_since_ping = False
            self._timer = self._loop.call_later(self._context.settings.ping_timeout, self._pong_is_due)
        else:
            self.close(PING_TIMEOUT, abort=True)

    # Upgrade

    def upgrade(self, transport: Transport) -> None:
        """Replace the transport; queued packets follow on the new one."""
        previous, self.transport, self.probe = self.transport, transport, None
        self._context.opened["upgrade"] += 1
        previous.close()
        if self._queue:
            transport.flush()

    # End

    def close(self, reason: str, *, abort: bool = False) -> None:
        """Close the transport. `disconnected` is called after the packets received so far are processed."""
        if self.closed:
            return
        self.closed = True
        self.reason = reason
        self._timer.cancel()
        if reason == OVERFLOW:
            logger.warning("connection %s: send queue overflow, the client reads too slowly", self.sid)
        self._entry.remove()
        self._context.remove(self, reason)
        self._session.gone()
        self.transport.close(abort=abort)
        if self.probe is not None:
            self.probe.close(abort=abort)
        self.pop_all()
        if self._readers == 0:
            self._context.spawn(self._finish())

    def lost(self) -> None:
        """The transport is closed, or its peer is closing it."""
        self.close(TRANSPORT_CLOSE)

    def reader_started(self) -> None:
        self._readers += 1

    async def reader_ended(self) -> None:
        """Every reader awaits this at its end; the last one of a closed connection calls `disconnected`."""
        self._readers -= 1
        if self.closed and self._readers == 0:
            await self._finish()

    async def _finish(self) -> None:
        if self._finished or self._readers:
            return
        self._finished = True
        try:
            await self._session.finish(self.reason)
        except Exception:  # noqa: BLE001 - an error of the application is logged, the connection remains
            logger.exception("connection %s: disconnect handler failed", self.sid)
        finally:
            self._context.finished()
