"""The ASGI interface in types: what uvicorn calls and what it passes."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

TRANSPORT = "happy.transport"
"""Key of the scope: the transport of the request's connection, to see whether it is closed, and reset it."""

Headers = Iterable[tuple[bytes, bytes]]
