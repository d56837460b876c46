"""The ASGI interface in types: what the server below calls and what it hands over."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

TRANSPORT = "happy.transport"
"""Where the server below puts the connection that a request came on, to see it closed and to break it off."""

Headers = Iterable[tuple[bytes, bytes]]
