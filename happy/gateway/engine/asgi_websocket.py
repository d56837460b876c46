"""The websocket transport on an ASGI connection, for any ASGI server."""

from __future__ import annotations

import asyncio
import types
from typing import TYPE_CHECKING, Any

from happy.gateway.engine.frames import CLOSE_NORMAL, CLOSE_TOO_LARGE
from happy.gateway.engine.packets import MESSAGE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator

    from happy.gateway.engine.asgi import Receive, Send
    from happy.gateway.engine.connection import Connection
    from happy.gateway.engine.runtime import Runtime
    from happy.gateway.engine.transport import Receiver


class AsgiWebSocket:
    """Reads in the ASGI task, writes from whoever sends: no task of its own unless the peer reads slowly."""

    __slots__ = (
        "_cut",
        "_idle_task",
        "_receive",
        "_runtime",
        "_send",
        "_writing",
        "connection",
        "name",
        "ready",
        "receiver",
    )

    def __init__(self, runtime: Runtime, receive: Receive, send: Send) -> None:
        self.name = "websocket"
        self.ready = False
        self.receiver: Receiver | None = None
        self.connection: Connection | None = None  # not yet known while the websocket is only probed
        self._runtime = runtime
        self._receive = receive
        self._send = send
        self._cut = False
        self._writing: asyncio.Task[None] | None = None
        self._idle_task: asyncio.Task[Any] | None = None  # the reader, while it waits for the peer

    async def accept(self) -> bool:
        """Complete the websocket handshake; False if the client is gone already."""
        message = await self._receive()
        if message["type"] != "websocket.connect":
            return False
        try:
            await self._send({"type": "websocket.accept"})
        except Exception:  # noqa: BLE001 - each server has its own way to say that the client is gone
            return False
        self.ready = True
        return True

    def attach(self, connection: Connection) -> None:
        self.receiver = self.connection = connection
        connection.reader_started()

    # Reading

    async def serve(self) -> None:
        """Pass packets on until the client is gone, then end the connection."""
        receiver = self.receiver
        try:
            while receiver is not None and not (receiver.broken or self._cut):
                packet = await self.read()
                if packet is None:
                    break
                work = receiver.receive(packet)
                if work is not None and self.connection is not None:
                    await self.connection.settle(work)
                receiver = self.receiver
        finally:
            if receiver is not None:
                receiver.lost()
            if self.connection is not None:
                await self.connection.reader_ended()

    async def read(self) -> str | bytes | None:
        """The next packet; None when the link is closed."""
        self._idle_task = asyncio.current_task()
        try:
            message = await self._receive()
        except asyncio.CancelledError:
            if self._cut:
                return None
            raise
        finally:
            self._idle_task = None
        if message["type"] != "websocket.receive":
            self.ready = False
            return None
        text: str | None = message.get("text")
        packet: str | bytes = message["bytes"] if text is None else text
        if self.connection is not None and _exceeds(packet, self.connection.max_payload):
            self._close(CLOSE_TOO_LARGE)
            return None
        return packet

    # Writing

    def write(self, packet: str) -> None:
        """Run the server's `send` at once; only if it has to wait for the peer, a task carries on with it."""
        sending = _start(self._send({"type": "websocket.send", "text": packet}))
        try:
            waits_for = sending.send(None)
        except StopIteration:
            return
        except Exception:  # noqa: BLE001 - each server has its own way to say that the client is gone
            self._lost()
            return
        self.ready = False
        self._writing = self._runtime.spawn(self._carry_on(sending, waits_for))

    def write_message(self, text: str) -> None:
        self.write(MESSAGE + text)

    def flush(self) -> None:
        while self.ready and self.connection is not None and (packet := self.connection.take()) is not None:
            self.write(packet)

    async def _carry_on(self, sending: Generator[Any, Any, None], waits_for: Any) -> None:
        try:
            await _resume(sending, waits_for)
        except Exception:  # noqa: BLE001 - each server has its own way to say that the client is gone
            self._lost()
            return
        finally:
            self._writing = None
        self.ready = True
        self.flush()

    def _lost(self) -> None:
        self.ready = False
        if self.connection is not None:
            self.connection.close("transport close")

    # Closing

    def close(self, *, abort: bool = False) -> None:
        if abort or self._writing is not None:
            self._abort()
        elif self.ready:
            self._close(CLOSE_NORMAL)

    def _close(self, code: int) -> None:
        self.ready = False
        sending = _start(self._send({"type": "websocket.close", "code": code}))
        try:
            sending.send(None)
        except StopIteration:
            return
        except Exception:  # noqa: BLE001 - gone already
            return
        sending.close()
        self._abort()

    def _abort(self) -> None:
        """Cut the link: a polite close would wait behind data that the peer does not read.

        ASGI has no word for it, so reach through the bound method for the server's transport; where there is
        none, end the reader, after which the server closes the link in its own time.
        """
        self.ready = False
        if self._writing is not None:
            self._writing.cancel()
        transport = getattr(getattr(self._send, "__self__", None), "transport", None)
        if (abort := getattr(transport, "abort", None)) is not None:
            abort()
            return
        self._cut = True
        if self._idle_task is not None:
            self._idle_task.cancel()


def _start(sending: Awaitable[None]) -> Generator[Any, Any, None]:
    return sending.__await__()


def _exceeds(packet: str | bytes, limit: int) -> bool:
    """Compare bytes on the wire, encoding only what may be too long."""
    if isinstance(packet, bytes) or packet.isascii() or len(packet) > limit or len(packet) * 4 <= limit:
        return len(packet) > limit
    return len(packet.encode()) > limit


@types.coroutine
def _resume(sending: Generator[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    """Await a `send` that has already run up to its first wait."""
    yield waits_for
    yield from sending
