"""Replicas as Redis knows them: the lease of each says which database it uses, and what it is called."""

from collections.abc import Callable, Iterable
from typing import Any

from redis.asyncio.connection import AbstractConnection

from happy.adapters.full.redis.address import RedisAddress
from happy.adapters.full.redis.wire import Part, pack, put


def lease(database: str, name: str) -> str:
    """What a replica writes into its lease. Those of earlier versions have `1`."""
    return f"{database} {name}"


async def running(address: RedisAddress, database: str) -> set[str]:
    """The replicas on this database that are subscribed, which one that was killed is not from then on.

    As they call themselves. Raises RedisError, OSError.
    """
    prefix = f"happy:{address.database}:"
    make: Callable[[], AbstractConnection] = address.pool().make_connection
    connection = make()
    try:
        await connection.connect()  # type: ignore[no-untyped-call]
        (replicas,) = await _answers(connection, [("ZRANGE", f"{prefix}nodes", 0, -1)])
        names = [replica.decode() for replica in replicas]
        leases = await _answers(connection, [("GET", f"{prefix}node:{name}") for name in names])
        listeners = await _answers(connection, [("PUBSUB", "NUMSUB", f"{prefix}m:{name}") for name in names])
    finally:
        await connection.disconnect(nowait=True)
    begin = lease(database, "")
    held = [held.decode() for held, (_, count) in zip(leases, listeners, strict=True) if held and count]
    return {text.removeprefix(begin) for text in held if text.startswith(begin)}


async def _answers(connection: AbstractConnection, commands: Iterable[tuple[Part, ...]]) -> list[Any]:
    """Of commands that are sent at once."""
    sent = list(map(pack, commands))
    await put(connection, b"".join(sent))
    return [await connection.read_response(disable_decoding=True) for _ in sent]
