"""Batches the writes of a websocket: frames sent together are one system call.

While packets that arrived together are processed, frames are collected; those of the last packet are written
at once, so that its receiver can go on. Frames sent at any other time are written at the end of the event
loop iteration, and so are those that are not urgent: the heartbeats of a hundred sessions that arrive
together are one write to the phone.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from happy.gateway.engine import frames

if TYPE_CHECKING:
    from happy.gateway.engine.context import EngineContext

PUSH_BYTES = 4_096
"""Collected bytes that are written without waiting for more, so that the peer can begin."""


class FrameWriter(asyncio.Protocol):
    """The writing half of a websocket."""

    __slots__ = ("_context", "_outgoing", "_outgoing_size", "_tcp")

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._tcp: asyncio.Transport = cast("asyncio.Transport", None)
        self._outgoing: list[bytes] | None = None  # collected frames
        self._outgoing_size = 0

    @property
    def address(self) -> str:
        peer = self._tcp.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) else ""

    def write(self, packet: bytes) -> None:
        context, tcp = self._context, self._tcp
        framed, frame = context.framed
        if framed is not packet:  # the same one is sent to many sockets in a row, but framed once
            if len(packet) > frames.LONG:
                self._put(frames.long_head(frames.TEXT, len(packet)))
                self._put(packet)
                return
            frame = frames.frame(frames.TEXT, packet)
            context.framed = (packet, frame)
        if context.at_once and self._outgoing is None:
            if not tcp.is_closing():
                tcp.write(frame)
        else:
            self._put(frame)

    def write_soon(self, packet: bytes) -> None:
        framed, frame = self._context.framed
        if framed is not packet:
            frame = frames.frame(frames.TEXT, packet)
            self._context.framed = (packet, frame)
        if self._outgoing is None:
            self._outgoing, self._outgoing_size = [], 0
            self._context.push_at_end(self)
        self._outgoing.append(frame)
        self._outgoing_size += len(frame)
        if self._outgoing_size > PUSH_BYTES:
            self.push()

    def _put(self, frame: bytes) -> None:
        if self._outgoing is None:
            self._outgoing, self._outgoing_size = [], 0
            self._context.push_soon(self)
        self._outgoing.append(frame)
        self._outgoing_size += len(frame)
        if self._outgoing_size > PUSH_BYTES or self._context.at_once:
            self.push()

    def push(self) -> None:
        """Write the collected frames; may make the transport not `ready` (backpressure of a slow peer)."""
        outgoing, self._outgoing = self._outgoing, None
        if outgoing is None or self._tcp.is_closing():
            return
        if len(outgoing) == 1:
            self._tcp.write(outgoing[0])
        else:
            self._tcp.writelines(outgoing)
