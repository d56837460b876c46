"""The parts of ASGI and HTTP that the engine needs: requests, responses and CORS."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

import msgspec

from happy.limits import limit

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

TEXT = b"text/plain; charset=UTF-8"
JSON = b"application/json"

MAX_QUERY = limit(
    1024, "characters of the query of a poll or a handshake", per="request", then="400: `Transport unknown`"
)
"""Clients send some 60, and 20 of a session id."""

UNKNOWN_TRANSPORT = (0, "Transport unknown")
UNKNOWN_SID = (1, "Session ID unknown")
BAD_HANDSHAKE_METHOD = (2, "Bad handshake method")
BAD_REQUEST = (3, "Bad request")
UNSUPPORTED_PROTOCOL = (5, "Unsupported protocol version")


class TooLarge(Exception):
    """The request body exceeds the limit."""


class ClientDisconnected(Exception):
    """The client disconnected before its request was complete."""


@lru_cache(maxsize=64)
def _parse_query(query: str) -> Mapping[str, list[str]]:
    """Cached, since nearly all handshakes have the same query. One of 5,000 parameters would take 12 ms."""
    return parse_qs(query) if len(query) <= MAX_QUERY else {}


class Target:
    """Method, path, query and headers of an HTTP request or a websocket handshake."""

    __slots__ = ("_query", "headers", "is_websocket", "method", "path", "peer")

    def __init__(self, method: str, path: str, query: str, headers: Headers, *, is_websocket: bool) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.is_websocket = is_websocket
        self.peer = ""  # IP address at the other end of the TCP connection, if it has one
        self._query = _parse_query(query)

    def query(self, name: str) -> str:
        """The last value of a query parameter, empty if it is absent."""
        return self._query.get(name, [""])[-1]

    def header(self, name: bytes) -> bytes:
        """The value of a header, empty if it is absent."""
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return b""


class Request(Target):
    """An HTTP request whose body can be read, and that can be responded to."""

    __slots__ = ("receive", "send")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = scope["query_string"].decode("latin-1")
        super().__init__(scope["method"], scope["path"], query, scope["headers"], is_websocket=False)
        self.peer = str(scope["client"][0]) if scope.get("client") else ""
        self.receive = receive
        self.send = send

    async def body(self, limit: int, hold: Callable[[int], None]) -> bytes:
        """The whole body. Raises TooLarge beyond `limit` bytes, and ClientDisconnected.

        `hold` is called with how many bytes have arrived, as long as there are more to come.
        """
        declared = self.header(b"content-length")
        if declared.isdigit() and int(declared) > limit:
            raise TooLarge
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await self.receive()
            if message["type"] != "http.request":
                raise ClientDisconnected
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                raise TooLarge
            if more := message.get("more_body", False):
                hold(size)
        return b"".join(parts)

    async def respond(
        self, status: int, body: bytes = b"", content_type: bytes = TEXT, *, retry_after: int | None = None
    ) -> None:
        """`retry_after` is in how many s the client may try again."""
        headers = [
            (b"content-type", content_type),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            *self._cors(),
        ]
        if retry_after is not None:
            headers.append((b"retry-after", b"%d" % retry_after))
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    async def refuse(self, error: tuple[int, str], status: int = 400) -> None:
        """Respond with one of the errors that Engine.IO defines."""
        code, message = error
        await self.respond(status, msgspec.json.encode({"code": code, "message": message}), JSON)

    async def preflight(self) -> None:
        """Respond to a CORS preflight: all origins are allowed: clients send a token, not a cookie."""
        headers = [*self._cors(), *self._allowed()]
        await self.send({"type": "http.response.start", "status": 204, "headers": headers})
        await self.send({"type": "http.response.body", "body": b""})

    def _cors(self) -> list[tuple[bytes, bytes]]:
        return [
            (b"access-control-allow-origin", self.header(b"origin") or b"*"),
            (b"access-control-allow-credentials", b"true"),
            (b"vary", b"Origin"),
        ]

    def _allowed(self) -> list[tuple[bytes, bytes]]:
        return [
            (b"access-control-allow-methods", b"GET,POST,OPTIONS"),
            (b"access-control-allow-headers", self.header(b"access-control-request-headers") or b"*"),
            (b"access-control-max-age", b"600"),
            (b"content-length", b"0"),
        ]
