"""What a node that was killed may have committed and not published: others find out, account by account.

Before it commits, a node marks the account as about to get events. Nobody waits for the mark, but it is sent
before the commit is. A moment later it is taken back, behind the publication. When the node is gone without
a word, the marks that it left tell who may have missed something.
"""

from collections import Counter
from typing import NamedTuple

from happy.adapters.full.redis.link import RedisLink
from happy.adapters.full.redis.scripts import ALIVE
from happy.adapters.steady_clock import steady_time
from happy.domain.values import AccountId, ReplicaId

RENEW_SECONDS = 10.0
OLD_SECONDS = 30
"""Marks are renewed well before they count as old."""

REMEMBERED_SECONDS = 600
SILENCES = 4
"""A node that does not listen this often in a row, a second apart, is gone; once may be a broken wire."""


class Silence(NamedTuple):
    """How often a node did not listen, and when that was noticed first."""

    times: int
    since: int


class RedisUnpublished:
    """Marks are on the clock of the node that made them, and so is the time when it was last alive."""

    def __init__(self, link: RedisLink, replica_id: ReplicaId) -> None:
        self._link = link
        self._node_id = replica_id
        self._nodes = f"{link.prefix}nodes"
        self._mine = self._key(replica_id)
        self._open: Counter[AccountId] = Counter()  # commits that are not published yet
        self._marks: dict[AccountId, float] = {}
        self._silent: dict[ReplicaId, Silence] = {}
        self._alive = b""

    def begin_commit(self, account_id: AccountId) -> None:
        self._open[account_id] += 1
        now = steady_time()
        if self._marks.get(account_id, 0.0) < now - RENEW_SECONDS:
            self._marks[account_id] = now
            self._link.send("ZADD", self._mine, int(now), account_id)

    def end_commit(self, account_id: AccountId) -> None:
        self._open[account_id] -= 1
        if not self._open[account_id]:
            del self._open[account_id]

    async def restore(self, now: int) -> None:
        """Redis may have forgotten the marks. Who is silent already owes nothing to later connections."""
        self._alive = await self._link.ask_first("SCRIPT", "LOAD", ALIVE)
        for account_id, at in self._marks.items():
            self._link.send("ZADD", self._mine, int(at), account_id)
        await self._look(now)

    async def tick(self, now: int) -> list[tuple[AccountId, int]]:
        """Say that this node is alive; accounts that a node which is gone may owe events, and since when.

        Times are on the clock of events.
        """
        self._take_back()
        await self._look(now)
        gone = [(node, silence.since) for node, silence in self._silent.items() if silence.times == SILENCES]
        return [(account_id, since) for node, since in gone for account_id in await self._marks_of(node)]

    async def _look(self, now: int) -> None:
        """Count how often in a row a node was silent."""
        before, self._silent = self._silent, {}
        for node in await self._say_alive():
            known = before.get(node, Silence(0, now))
            self._silent[node] = Silence(known.times + 1, known.since)

    async def has_marked(self, replica_id: ReplicaId, account_id: AccountId) -> bool:
        """Whether a node that does not listen any more may have owed events to an account."""
        ask, channel = self._link.ask, f"{self._link.prefix}m:{replica_id}"
        _, listeners = await ask("PUBSUB", "NUMSUB", channel)
        if listeners:
            return False
        mark, alive = (
            await ask("ZSCORE", self._key(replica_id), account_id),
            await self._last_alive(replica_id),
        )
        return mark is not None and float(mark) >= alive - OLD_SECONDS

    def leave(self) -> None:
        """This node has published everything."""
        self._link.send("DEL", self._mine)
        self._link.send("ZREM", self._nodes, self._node_id)

    def _take_back(self) -> None:
        published = [account_id for account_id in self._marks if account_id not in self._open]
        for account_id in published:
            del self._marks[account_id]
        if published:
            self._link.send("ZREM", self._mine, *published)

    async def _say_alive(self) -> list[ReplicaId]:
        """The nodes that do not listen, though they did not say that they would end."""
        now = int(steady_time())
        times = (now, now - OLD_SECONDS, REMEMBERED_SECONDS)
        keys = (self._nodes, self._mine)
        channels = f"{self._link.prefix}m:"
        silent = await self._link.ask_first("EVALSHA", self._alive, 2, *keys, self._node_id, channels, *times)
        return [ReplicaId(name.decode()) for name in silent]

    async def _marks_of(self, replica_id: ReplicaId) -> list[AccountId]:
        since = await self._last_alive(replica_id) - OLD_SECONDS
        marked = await self._link.ask_first("ZRANGEBYSCORE", self._key(replica_id), since, "+inf")
        return [AccountId(name.decode()) for name in marked]

    async def _last_alive(self, replica_id: ReplicaId) -> int:
        return int(float(await self._link.ask_first("ZSCORE", self._nodes, replica_id) or 0))

    def _key(self, replica_id: ReplicaId) -> str:
        return f"{self._link.prefix}d:{replica_id}"
