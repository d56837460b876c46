"""Publish intents: which accounts may lack events when a replica is killed between commit and publication.

Before a commit, a replica records in Redis that it will publish events of the account. The commit does not
wait for the record, but the record is sent first. It is removed a moment later, after the publication. When
a replica is gone without `deregister`, its remaining intents name the accounts whose clients must resync.
"""

from collections import Counter
from typing import NamedTuple

from happy.adapters.full.redis.link import RedisLink
from happy.adapters.full.redis.scripts import ALIVE
from happy.adapters.steady_clock import steady_time
from happy.domain.values import AccountId, ReplicaId

RENEW_SECONDS = 10.0
OLD_SECONDS = 30
"""Intents are renewed well before they count as old."""

REMEMBERED_SECONDS = 600
MISSED_CHECKS = 4
"""A replica that is not subscribed in this many checks in a row, a second apart, is dead."""


class Silence(NamedTuple):
    """How many checks in a row found no subscriber, and when the first did, in ms."""

    times: int
    since: int


class PublishIntents:
    """Intents carry the time of the replica that made them, and so does the time when it was last alive."""

    def __init__(self, link: RedisLink, replica_id: ReplicaId) -> None:
        self._link = link
        self._replica_id = replica_id
        self._replicas = f"{link.prefix}nodes"
        self._mine = self._key(replica_id)
        self._open: Counter[AccountId] = Counter()  # commits that are not published yet
        self._intents: dict[AccountId, float] = {}
        self._silent: dict[ReplicaId, Silence] = {}
        self._alive = b""

    def begin_commit(self, account_id: AccountId) -> None:
        self._open[account_id] += 1
        now = steady_time()
        if self._intents.get(account_id, 0.0) < now - RENEW_SECONDS:
            self._intents[account_id] = now
            self._link.send("ZADD", self._mine, int(now), account_id)

    def end_commit(self, account_id: AccountId) -> None:
        self._open[account_id] -= 1
        if not self._open[account_id]:
            del self._open[account_id]

    async def restore(self, now: int) -> None:
        """Record the intents again: Redis may have lost them.

        A replica that is silent already has no events for connections that begin from now on.
        """
        self._alive = await self._link.execute_first("SCRIPT", "LOAD", ALIVE)
        for account_id, at in self._intents.items():
            self._link.send("ZADD", self._mine, int(at), account_id)
        await self._check_silence(now)

    async def tick(self, now: int) -> list[tuple[AccountId, int]]:
        """Record that this replica is alive; accounts for which a dead one left intents, and since when.

        Times are on the clock of events, in ms.
        """
        self._remove_published()
        await self._check_silence(now)
        dead = [
            (replica_id, silence.since)
            for replica_id, silence in self._silent.items()
            if silence.times == MISSED_CHECKS
        ]
        return [
            (account_id, since)
            for replica_id, since in dead
            for account_id in await self._intents_of(replica_id)
        ]

    async def _check_silence(self, now: int) -> None:
        """Count for each replica how many checks in a row found it silent."""
        before, self._silent = self._silent, {}
        for replica_id in await self._renew():
            silence = before.get(replica_id, Silence(0, now))
            self._silent[replica_id] = Silence(silence.times + 1, silence.since)

    async def is_left_by_dead(self, replica_id: ReplicaId, account_id: AccountId) -> bool:
        """Whether a replica that is not subscribed any more left an intent for an account."""
        execute, channel = self._link.execute, f"{self._link.prefix}m:{replica_id}"
        _, subscribers = await execute("PUBSUB", "NUMSUB", channel)
        if subscribers:
            return False
        intent = await execute("ZSCORE", self._key(replica_id), account_id)
        alive = await self._last_alive(replica_id)
        return intent is not None and float(intent) >= alive - OLD_SECONDS

    def deregister(self) -> None:
        """This replica ends and has published everything."""
        self._link.send("DEL", self._mine)
        self._link.send("ZREM", self._replicas, self._replica_id)

    def _remove_published(self) -> None:
        published = [account_id for account_id in self._intents if account_id not in self._open]
        for account_id in published:
            del self._intents[account_id]
        if published:
            self._link.send("ZREM", self._mine, *published)

    async def _renew(self) -> list[ReplicaId]:
        """Record that this replica is alive; returns those that are gone without `deregister`."""
        now = int(steady_time())
        times = (now, now - OLD_SECONDS, REMEMBERED_SECONDS)
        keys = (self._replicas, self._mine)
        channels = f"{self._link.prefix}m:"
        silent = await self._link.execute_first(
            "EVALSHA", self._alive, 2, *keys, self._replica_id, channels, *times
        )
        return [ReplicaId(name.decode()) for name in silent]

    async def _intents_of(self, replica_id: ReplicaId) -> list[AccountId]:
        since = await self._last_alive(replica_id) - OLD_SECONDS
        left = await self._link.execute_first("ZRANGEBYSCORE", self._key(replica_id), since, "+inf")
        return [AccountId(name.decode()) for name in left]

    async def _last_alive(self, replica_id: ReplicaId) -> int:
        return int(float(await self._link.execute_first("ZSCORE", self._replicas, replica_id) or 0))

    def _key(self, replica_id: ReplicaId) -> str:
        return f"{self._link.prefix}d:{replica_id}"
