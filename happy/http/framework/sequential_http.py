"""One HTTP request of a connection at a time: what arrives behind it waits, and no more is read."""

import asyncio
import select
from typing import ClassVar

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from happy.http.framework import request_limits as limits
from happy.services.client_addresses import ClientAddresses
from happy.services.connection_table import ConnectionTable
from happy.services.refusals import RefusalKind


class Held:
    """How many bytes of pipelined requests wait, in all connections."""

    def __init__(self) -> None:
        self.bytes = 0


def has_arrived(transport: asyncio.BaseTransport) -> bool:
    """Whether there is something to read, if only the end."""
    waiting = select.poll()
    waiting.register(transport.get_extra_info("socket"), select.POLLIN)
    return bool(waiting.poll(0))


class SequentialHttp(HttpToolsProtocol):
    """Parses what was received in pieces, up to the end of a request, and goes on when it has been answered.

    Uvicorn parses all that has arrived, and keeps every request in it.
    """

    table: ClassVar[ConnectionTable] = ConnectionTable()
    addresses: ClassVar[ClientAddresses] = ClientAddresses()
    held: ClassVar[Held] = Held()

    _deadline: asyncio.TimerHandle | None = None
    _refused = False  # further input is discarded
    _in_head = False  # a head has begun and is not complete
    _in_body = False  # the head was complete, the request is not
    _declared: int | None = 0  # bytes of the body; None if it is chunked
    _content = 0  # bytes of it that arrived
    _waiting_input = b""  # received behind a request that is being handled, or as too many chunks
    _chunks = 0  # of the body, in this turn

    def _receive(self, data: bytes) -> None:
        """Parse this piece."""
        raise NotImplementedError

    def _expect(self, seconds: float) -> None:
        """Close the connection unless the head is complete in time."""
        raise NotImplementedError

    @property
    def _address(self) -> str:
        return str(self.client[0]) if self.client else ""

    def shutdown(self) -> None:
        """Close after the request that is handled or arrives; at once if there is none.

        One that was not read yet would be reset with the connection: a proxy answers it with 502.
        """
        if self._is_handling() or self._in_body or not (self._in_head or has_arrived(self.transport)):
            super().shutdown()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._unset_keepalive_if_required()
        if len(data) <= limits.HEAD_PIECE and not self._waiting_input and not self._is_handling():
            self._receive(data)
        else:
            self._receive_in_pieces(data)

    def _is_handling(self) -> bool:
        """Whether a request has arrived and is not answered: what is received belongs to the next."""
        return self.cycle is not None and not self._in_body and not self.cycle.response_complete

    def _receive_in_pieces(self, data: bytes) -> None:
        start = self._chunks = 0
        while start < len(data) and not self._refused:
            if self._waiting_input or self._is_handling():
                self._hold(data[start:])
                return
            if self._chunks > limits.CHUNKS_AT_ONCE:  # others have their turn
                self._hold(data[start:])
                self.loop.call_soon(self._release)
                return
            piece = data[start : start + self._piece()]
            start += len(piece)
            self._receive(piece)

    def _piece(self) -> int:
        if not self._in_body:
            return limits.HEAD_PIECE
        return limits.CHUNKED_PIECE if self._declared is None else max(1, self._declared - self._content)

    def _hold(self, data: bytes) -> None:
        self._waiting_input += data
        self.held.bytes += len(data)
        if self._deadline is not None and not self._in_body:  # of a head that has begun: it waits for us
            self._deadline.cancel()
            self._deadline = None
        if self.held.bytes > limits.MAX_HELD:
            self.table.refusals(RefusalKind.PIPELINED_REQUESTS, self._address)
            self.transport.abort()
            return
        self.flow.pause_reading()

    def _take_held(self) -> bytes:
        data, self._waiting_input = self._waiting_input, b""
        self.held.bytes -= len(data)
        return data

    def _release(self) -> None:
        """The request has been answered, or others have had their turn: parse what waits."""
        data = self._take_held()
        if self.transport.is_closing() or self._is_handling():
            return
        if self._in_head:
            self._expect(limits.HEAD_SECONDS)
        self._receive_in_pieces(data)
        if not self._waiting_input and not self._is_unread():
            self.flow.resume_reading()

    def _is_unread(self) -> bool:
        """Whether much of the body waits for its handler, who resumes reading."""
        return self._in_body and len(self.cycle.body) > HIGH_WATER_LIMIT

    def _release_soon(self) -> None:
        """A request has been answered."""
        if not self._waiting_input:
            return
        self.flow.pause_reading()  # uvicorn has just resumed it
        if not self._is_handling():  # no other one was parsed already
            self.loop.call_soon(self._release)
