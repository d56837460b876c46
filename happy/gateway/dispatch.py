"""One port: requests of the realtime path go to the engine, all others to the HTTP application."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from happy.gateway.engine import PathPrefix
from happy.gateway.engine import Server as Engine

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

REALTIME_PATH = "/v1/updates/"
NORMAL_CLOSURE = 1000


def dispatch(engine: Engine, http: ASGIApp, prefix: PathPrefix) -> ASGIApp:
    """The ASGI application of the port; both parts get paths without the prefix."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if prefix.value or scope["path"].startswith("//"):
            scope["raw_path"] = prefix.strip(scope["raw_path"].decode("latin-1")).encode("latin-1")
            scope["path"] = prefix.strip(scope["path"])
        if scope["path"] == REALTIME_PATH:
            await engine(scope, receive, send)
        elif scope["type"] == "http":
            await http(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": NORMAL_CLOSURE})

    return app
