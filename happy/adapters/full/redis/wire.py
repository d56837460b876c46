"""Redis commands in their wire format."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from happy.domain.errors import Unavailable

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from redis.asyncio.connection import AbstractConnection

Part = str | bytes | int


class Broken(Exception):
    """The connections have to be opened again."""


class Entry:
    """One command. Without a future (`done`) it is repeated after outages until Redis has confirmed it."""

    __slots__ = ("again", "done", "packed", "since", "subject")

    def __init__(
        self,
        packed: bytes,
        done: asyncio.Future[Any] | None = None,
        *,
        subject: str | None = None,
        again: Callable[[], bytes] | None = None,
    ) -> None:
        self.packed = packed
        self.done = done
        self.subject = subject
        self.again = again
        self.since = time.monotonic()


def pack(parts: tuple[Part, ...]) -> bytes:
    """A whole command."""
    return b"*%d\r\n%b" % (len(parts), pack_some(parts))


def pack_some(parts: tuple[Part, ...]) -> bytes:
    """Some parts of a command: those that never change are packed once and reused."""
    out: list[bytes] = []
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        out += (b"$%d\r\n" % len(data), data, b"\r\n")
    return b"".join(out)


async def put(connection: AbstractConnection, data: bytes) -> None:
    """Write without the library's `send_command`, which reconnects by itself and may swallow cancellation."""
    writer = connection._writer  # noqa: SLF001
    if writer is None:
        raise Broken("Redis has closed the connection")
    writer.write(data)
    await writer.drain()


def fail(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(Unavailable("Redis did not answer"))
        future.exception()  # so that it counts as retrieved: the caller may have been cancelled
