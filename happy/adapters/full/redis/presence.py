"""Presence in Redis: claims of connections on names, valid while the lease of their replica is."""

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from happy.adapters.full.redis.link import RedisLink
from happy.adapters.full.redis.scripts import HOLDERS
from happy.adapters.steady_clock import steady_time
from happy.domain.errors import Unavailable
from happy.domain.ports.presence import Holder
from happy.domain.values import AccountId, ConnectionId, ReplicaId
from happy.limits import limit

LEASE_SECONDS = 10
CLAIM_SECONDS = limit(
    3600, "s that Redis keeps claims of a replica that was killed", per="replica", then="they are deleted"
)
"""Expiry of claims, which are renewed much more often: it removes what a dead replica left behind."""

RENEW_SECONDS = 900
REPLICA_ID_LENGTH = 16
Claims = dict[str, dict[str, str]]


class RedisPresence:
    """Implements `Presence`. Claims are kept in memory as well, and made again when Redis has lost them."""

    def __init__(self, link: RedisLink, replica_id: ReplicaId, lease: str = "1") -> None:
        """`lease` is what it says of itself to commands (`replicas`)."""
        assert len(replica_id) == REPLICA_ID_LENGTH, "the Lua script splits members by this length"
        self._link = link
        self._replica_id = replica_id
        self._lease_text = lease
        self._prefix = link.prefix
        self._holders = b""
        self._mine: Claims = {}
        self._last = 0
        self._renewed = time.monotonic()

    async def claim(self, account_id: AccountId, name: str, holder: Holder) -> None:
        key = self._claim(account_id, name, holder)
        with suppress(Unavailable):  # it is queued, and made as soon as Redis is connected
            await self._link.execute("EXPIRE", key, CLAIM_SECONDS)

    def claim_soon(self, account_id: AccountId, name: str, holder: Holder) -> None:
        self._link.send("EXPIRE", self._claim(account_id, name, holder), CLAIM_SECONDS)

    def _claim(self, account_id: AccountId, name: str, holder: Holder) -> str:
        self._last = max(self._last + 1, int(steady_time() * 1e6))
        key, member, value = self._key(account_id, name), _member(holder), f"{holder.rank}:{self._last}"
        self._mine.setdefault(key, {})[member] = value
        self._link.send("HSET", key, member, value)
        return key

    async def release(self, account_id: AccountId, name: str, holder: Holder) -> None:
        command = self._release(account_id, name, holder)
        try:
            await self._link.execute(*command)
        except Unavailable:
            self._link.send(*command)

    def release_soon(self, account_id: AccountId, name: str, holder: Holder) -> None:
        self._link.send(*self._release(account_id, name, holder))

    def _release(self, account_id: AccountId, name: str, holder: Holder) -> tuple[str, str, str]:
        key, member = self._key(account_id, name), _member(holder)
        held = self._mine.get(key, {})
        held.pop(member, None)
        if not held:
            self._mine.pop(key, None)
        return "HDEL", key, member

    async def is_held(self, account_id: AccountId, name: str) -> bool:
        key = self._key(account_id, name)
        return key in self._mine or bool(await self._found(key))

    async def _found(self, key: str) -> Any:
        """Claims of live replicas, as members and values in turns."""
        prefixes = (f"{self._prefix}node:", f"{self._prefix}m:")
        return await self._link.execute("EVALSHA", self._holders, 1, key, *prefixes)

    async def holders(self, account_id: AccountId, name: str) -> Sequence[Holder]:
        """While Redis is out of reach: those of this replica."""
        key = self._key(account_id, name)
        try:
            flat = await self._found(key)
        except Unavailable:
            found = dict(self._mine.get(key, {}))
        else:
            found = {
                member.decode(): value.decode() for member, value in zip(flat[::2], flat[1::2], strict=True)
            }
        newest_first = sorted(found.items(), key=lambda item: _order(item[1]), reverse=True)
        return [_holder(member, value) for member, value in newest_first]

    async def is_alive(self, replica_id: ReplicaId, channel: str) -> bool:
        if replica_id == self._replica_id:
            return True
        _, listeners = await self._link.execute("PUBSUB", "NUMSUB", channel)
        return bool(listeners) and bool(
            await self._link.execute("EXISTS", f"{self._prefix}node:{replica_id}")
        )

    async def restore(self) -> None:
        """Renew the lease of this replica, and make its claims again."""
        self._holders = await self._link.execute_first("SCRIPT", "LOAD", HOLDERS)
        await self._lease()
        self._claim_all()

    async def tick(self) -> None:
        """Renew the lease; if it had expired, other replicas may have deleted the claims: make them again."""
        if not await self._lease() or time.monotonic() - self._renewed > RENEW_SECONDS:
            self._claim_all()

    async def end_lease(self) -> None:
        """End the lease at once instead of letting it expire."""
        self._link.send("DEL", f"{self._prefix}node:{self._replica_id}")

    async def _lease(self) -> bool:
        """Whether the lease was still valid."""
        key = f"{self._prefix}node:{self._replica_id}"
        return (
            await self._link.execute_first("SET", key, self._lease_text, "EX", LEASE_SECONDS, "GET")
            is not None
        )

    def _claim_all(self) -> None:
        self._renewed = time.monotonic()
        for key, held in self._mine.items():
            for member, value in held.items():
                self._link.send("HSET", key, member, value)
            self._link.send("EXPIRE", key, CLAIM_SECONDS)

    def _key(self, account_id: AccountId, name: str) -> str:
        return f"{self._prefix}p:{account_id}:{name}"


def _member(holder: Holder) -> str:
    return holder.replica_id + holder.connection_id


def _holder(member: str, value: str) -> Holder:
    replica_id, connection_id = member[:REPLICA_ID_LENGTH], member[REPLICA_ID_LENGTH:]
    return Holder(ReplicaId(replica_id), ConnectionId(connection_id), int(value.partition(":")[0]))


def _order(value: str) -> tuple[int, int]:
    rank, _, at = value.partition(":")
    return int(rank), int(at)
