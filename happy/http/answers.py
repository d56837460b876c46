"""Answers that are complete before the first byte is sent, and those that stream a stored file."""

from typing import Any

from msgspec.json import Encoder

from happy.domain.ports.filestore import StoredFile
from happy.http.asgi import Headers, Receive, Scope, Send

JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"

encode = Encoder().encode


class Answer:
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


class FileAnswer:
    """A stored file in pieces. The first is read before anything is sent: the file may be gone."""

    __slots__ = ("file", "headers")

    def __init__(self, file: StoredFile, media_type: str, headers: Headers = ()) -> None:
        self.file = file
        self.headers = [
            (b"content-type", media_type.encode()),
            (b"content-length", b"%d" % file.size),
            *headers,
        ]

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.headers}
        started = False
        async for chunk in self.file.chunks:
            if not started:
                started = True
                await send(start)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if not started:
            await send(start)
        await send({"type": "http.response.body", "body": b""})


def json_answer(status: int, content: Any, headers: Headers = ()) -> Answer:
    return Answer(status, encode(content), JSON, headers)
