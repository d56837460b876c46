"""JSON lists that are too large to be built whole: loaded, encoded and sent piece by piece."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Generic, TypeVar

from happy.domain.errors import HappyError
from happy.domain.listing import Large
from happy.http.framework.asgi import TRANSPORT, Receive, Scope, Send
from happy.http.framework.body import ClientGone
from happy.http.framework.delivery import reset
from happy.http.framework.requests import LARGE_WORK
from happy.http.framework.responses import JSON, ResponseSender, encode

T = TypeVar("T")
Load = Callable[[Any], Awaitable[T | None]]
Turn = Callable[[], AbstractAsyncContextManager[None]]

PIECE = 65_536
"""Bytes that are collected before they are sent, and sent before the next row is loaded."""

log = logging.getLogger(__name__)


class ListResponse(Generic[T]):
    """A JSON document around a list. Large rows are loaded one by one as the client reads (backpressure).

    `around` is the whole content with an empty list in it, which is filled in. `load` finds a row by its key;
    one that is gone meanwhile is left out. The length is not known before: it is sent in chunks, or to an
    HTTP/1.0 client until the connection is closed. When something fails midway, the connection is reset.
    """

    __slots__ = ("_around", "_item", "_load", "_rows")

    def __init__(self, around: Any, rows: list[T | Large], item: Callable[[T], Any], load: Load[T]) -> None:
        self._around = around
        self._rows = rows
        self._item = item
        self._load = load

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", JSON.encode())]}
        if isinstance(send, ResponseSender) and send.bodiless:
            await send(start)
            await send({"type": "http.response.body", "body": b""})
            return
        pieces = self._pieces(partial(scope[LARGE_WORK].turn, scope["user"]))
        first = await anext(pieces)  # a failure before the first byte still gets an error response
        await send(start)
        try:
            await _send_in_parts(scope, send, first)
            del first
            async for piece in pieces:
                await _send_in_parts(scope, send, piece)
        except Exception as error:
            await _abort(scope, receive, error)
            raise ClientGone from error
        await send({"type": "http.response.body", "body": b""})

    async def _pieces(self, turn: Turn) -> AsyncIterator[bytes]:
        head, _, tail = encode(self._around).partition(b"[]")
        collected, separator = bytearray(head + b"["), b""
        rows = self._rows[::-1]
        self._rows.clear()
        while rows:  # each is freed once encoded
            encoded = await self._encoded(rows.pop(), turn)
            if encoded is None:
                continue
            collected += separator
            separator = b","
            if len(encoded) < PIECE:
                collected += encoded
            if len(encoded) >= PIECE or len(collected) >= PIECE:
                yield bytes(collected)
                collected.clear()
            if len(encoded) >= PIECE:
                yield encoded  # as it is: copies of large rows add up
            del encoded
        yield bytes(collected + b"]" + tail)

    async def _encoded(self, row: T | Large, turn: Turn) -> bytes | None:
        if not isinstance(row, Large):
            return encode(self._item(row))
        async with turn():
            found = await self._load(row.key)
            return None if found is None else encode(self._item(found))


async def _send_in_parts(scope: Scope, send: Send, piece: bytes) -> None:
    """Send in small parts, so that what is unsent to a slow client is in memory only once."""
    transport = scope.get(TRANSPORT)
    for begin in range(0, len(piece), PIECE):
        part = piece if len(piece) <= PIECE else piece[begin : begin + PIECE]
        await send({"type": "http.response.body", "body": part, "more_body": True})
        if transport is not None and transport.is_closing():
            raise ClientGone


async def _abort(scope: Scope, receive: Receive, error: Exception) -> None:
    """Reset the connection: a normal close would make a partial list look complete to an HTTP/1.0 client."""
    if isinstance(error, HappyError):
        log.warning("a list response was aborted: %s", error)
    elif not isinstance(error, ClientGone):
        log.error("a list response was aborted", exc_info=error)
    transport = scope.get(TRANSPORT)
    if transport is not None:
        reset(transport)
        while (await receive())["type"] != "http.disconnect":
            pass
