"""Which Redis this is: another one may lack what replicas published, also because some noticed it late."""

import time

from happy.adapters.full.redis.link import RedisLink
from happy.domain.values import ReplicaId

EPOCH_LENGTH = 8
LATE_SECONDS = 4.0
"""Of a replica that notices the loss this much later than another, some events are too old to be repeated."""

KEPT_SECONDS = 600


class Epochs:
    """An epoch lies between two restarts or failovers of Redis; `current` names it once it is known."""

    def __init__(self, link: RedisLink, replica_id: ReplicaId) -> None:
        self.current: str | None = None
        self._link = link
        self._replica_id = replica_id
        self._check_until = 0.0

    async def has_changed(self) -> bool:
        """After a restart Redis has lost everything, after a failover perhaps the last moments."""
        info: bytes = await self._link.execute_first("INFO", "server")
        run_id = next(line for line in info.splitlines() if line.startswith(b"run_id:"))
        before, self.current = self.current, run_id.partition(b":")[2][:EPOCH_LENGTH].decode()
        changed = before not in (None, self.current)
        if changed:
            self._check_until = time.monotonic() + LATE_SECONDS * 3
        return changed

    async def was_noticed_late(self) -> bool:
        """Whether another replica still reached the former Redis long after this one had lost it.

        What that replica published then is gone, and too old to be repeated. True once an epoch at most.
        """
        if time.monotonic() > self._check_until or self.current is None:
            return False
        key, broke_at = f"{self._link.prefix}breaks:{self.current}", self._link.broke_at
        await self._link.execute_first("HSET", key, self._replica_id, str(broke_at))
        await self._link.execute_first("EXPIRE", key, KEPT_SECONDS)
        found: list[bytes] = await self._link.execute_first("HVALS", key)
        late = max(map(float, found)) > broke_at + LATE_SECONDS
        if late:
            self._check_until = 0.0
        return late
