"""Responses that are complete before the first byte is sent, and those that stream a stored file."""

from collections.abc import Callable
from typing import Any

from msgspec.json import Encoder

from happy.domain.ports.filestore import StoredFile
from happy.http.framework.asgi import Headers, Message, Receive, Scope, Send

JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"

encode = Encoder().encode


class ResponseSender:
    """Adds the common headers to a response and drops the body for HEAD; records the status for metrics."""

    __slots__ = ("_on_start", "_send", "bodiless", "headers", "route", "size", "started", "status")

    def __init__(self, send: Send, headers: Headers, *, bodiless: bool) -> None:
        self._send = send
        self.bodiless = bodiless
        self.headers = list(headers)
        self.started = False
        self.status = 0  # no response yet
        self.size = 0  # bytes of the body so far
        self.route = "unknown"
        self._on_start: Callable[[], None] | None = None

    def listen(self, on_start: Callable[[], None]) -> None:
        """`on_start` is called once: as the response begins, or by `ready` where there is none."""
        self._on_start = on_start

    def ready(self) -> None:
        """The response begins, or there will be none."""
        on_start, self._on_start = self._on_start, None
        if on_start is not None:
            on_start()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.ready()
            self.started = True
            self.status = message["status"]
            message["headers"] = [*message["headers"], *self.headers]
        elif self.bodiless:
            message["body"] = b""
        else:
            self.size += len(message.get("body", b""))
        await self._send(message)


class Response:
    """A status, headers and a whole body."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: bytes, media_type: str = JSON, headers: Headers = ()) -> None:
        self.status = status
        self.body = body
        self.headers = [
            (b"content-type", media_type.encode()),
            (b"content-length", b"%d" % len(body)),
            *headers,
        ]

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


class FileResponse:
    """A stored file in pieces, or `length` bytes of it. The first is read before anything is sent."""

    __slots__ = ("file", "headers", "status")

    def __init__(
        self, file: StoredFile, media_type: str, headers: Headers = (), *, length: int | None = None
    ) -> None:
        self.file = file
        self.status = 200 if length is None else 206
        self.headers = [
            (b"content-type", media_type.encode()),
            (b"content-length", b"%d" % (file.size if length is None else length)),
            *headers,
        ]

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status, "headers": self.headers}
        first = (
            b"" if isinstance(send, ResponseSender) and send.bodiless else await anext(self.file.chunks, b"")
        )
        await send(start)
        if first:
            await send({"type": "http.response.body", "body": first, "more_body": True})
            async for chunk in self.file.chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def json_response(status: int, content: Any, headers: Headers = ()) -> Response:
    return Response(status, encode(content), JSON, headers)
