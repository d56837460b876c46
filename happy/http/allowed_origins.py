"""Lets only pages of certain origins use this server, where the settings name some (protocol: http#cors)."""

from collections.abc import Collection

from happy.http.framework.asgi import ASGIApp, Headers, Message, Receive, Scope, Send

PREFIX = b"access-control-"
ALLOW_ORIGIN = b"access-control-allow-origin"
VARY = (b"vary", b"Origin")


def allow_origins(app: ASGIApp, origins: Collection[str] | None) -> ASGIApp:
    """The same application, whose CORS headers go to pages of `origins` alone; None: to all, as it is.

    This is for HTTP, long polling included. Browsers send no preflight before they open a websocket, and
    without a token a page gets nothing there.
    """
    if origins is None:
        return app
    allowed = frozenset(origin.encode() for origin in origins)

    async def restricted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        origin = dict(scope["headers"]).get(b"origin", b"").lower()
        known = origin if origin in allowed else None

        async def send_restricted(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _restricted(message["headers"], known)
            await send(message)

        await app(scope, receive, send_restricted)

    return restricted


def _restricted(headers: Headers, origin: bytes | None) -> Headers:
    """CORS headers that name this origin, or none at all; caches learn that they depend on it."""
    others = [(name, value) for name, value in headers if name != ALLOW_ORIGIN]
    if len(others) == len(list(headers)):
        return headers
    if origin is None:
        return [*((name, value) for name, value in others if not name.startswith(PREFIX)), VARY]
    return [*others, (ALLOW_ORIGIN, origin), VARY]
