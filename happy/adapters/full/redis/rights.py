"""Checks at the start that the ACL of the Redis user allows every command, key and channel in use."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import ResponseError

from happy.adapters.full.redis.wire import Part, pack, put
from happy.domain.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio.connection import AbstractConnection

    from happy.adapters.full.redis.address import RedisAddress

SCRIPT: Final = "return 1"
SHA: Final = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()
PATTERN: Final = "happy:*"


def _commands(prefix: str) -> tuple[tuple[Part, ...], ...]:
    """Every command in use, those of the scripts too, on keys of their own."""
    text, table, ranks, stream, channel = (f"{prefix}rights:{kind}" for kind in ("t", "h", "z", "x", "c"))
    return (
        *(("PING",), ("CLIENT", "SETNAME", "happy-server"), ("INFO", "server"), ("TIME",)),
        *(("SET", text, 1, "EX", 10, "GET"), ("GET", text), ("EXISTS", text), ("EXPIRE", text, 10)),
        *(("PEXPIRE", text, 10_000), ("HSET", table, "a", 1), ("HGET", table, "a"), ("HGETALL", table)),
        *(("HVALS", table), ("HINCRBY", table, "n", 1), ("HDEL", table, "a"), ("ZADD", ranks, 1, "a")),
        *(("ZSCORE", ranks, "a"), ("ZRANGE", ranks, 0, -1), ("ZRANGEBYSCORE", ranks, "-inf", "+inf")),
        *(("ZREM", ranks, "a"), ("ZREMRANGEBYSCORE", ranks, "-inf", 0)),
        *(("XADD", stream, "MAXLEN", "~", 10, "*", "a", "b"), ("XLEN", stream), ("XRANGE", stream, "-", "+")),
        *(("XTRIM", stream, "MAXLEN", 0), ("SCRIPT", "LOAD", SCRIPT), ("EVALSHA", SHA, 0)),
        *(("PUBSUB", "NUMSUB", channel), ("PUBLISH", channel, ""), ("DEL", text, table, ranks, stream)),
        *(("SUBSCRIBE", channel), ("UNSUBSCRIBE", channel)),
    )


async def require_rights(address: RedisAddress) -> None:
    """Raises StartupError that names all missing rights, and errors of the driver."""
    make: Callable[[], AbstractConnection] = address.pool(client_name=None).make_connection
    connection = make()
    commands = _commands(f"happy:{address.database}:")
    try:
        await connection.connect()  # type: ignore[no-untyped-call]
        await put(connection, b"".join(map(pack, commands)))
        refused = [(command, await _refusal(connection)) for command in commands]
    finally:
        await connection.disconnect(nowait=True)
    missing = _missing(refused)
    if missing:
        user = address.user or "default"
        raise StartupError(
            f"Redis at {address.display} denies its user {user} what this server needs:"
            f" ACL SETUSER {user} {' '.join(missing)}"
        )


async def _refusal(connection: AbstractConnection) -> str:
    """The error response to a command if it is about rights, in lower case; otherwise empty."""
    try:
        await connection.read_response(disable_decoding=True)
    except ResponseError as error:
        text = str(error).lower()
        return text if "permission" in text or "unknown command" in text else ""
    return ""


def _missing(refused: list[tuple[tuple[Part, ...], str]]) -> list[str]:
    """The missing ACL rules, each once."""
    found: dict[str, Any] = {}
    for command, text in refused:
        if "channel" in text:
            found[f"&{PATTERN}"] = None
        elif "key" in text:
            found[f"~{PATTERN}"] = None
        elif text:
            name = str(command[0]).lower()
            with_subcommand = name in ("client", "script", "pubsub")
            found[f"+{name}|{str(command[1]).lower()}" if with_subcommand else f"+{name}"] = None
    return list(found)
