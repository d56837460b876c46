"""The envelopes of accounts as Redis keeps them: in one order, for some minutes, within bounds."""

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, NamedTuple

from msgspec import Struct

from happy.adapters.full.redis.scripts import PUBLISH, RECOVER
from happy.adapters.full.redis.wire import pack_some
from happy.domain.values import AccountId, ReplicaId
from happy.limits import limit

OFFSET_SECONDS = 3600
"""How long the last offset of a silent account is kept: much longer than any client may take to recover."""

PARTS_AFTER_HEAD = 8
"""How many parts of a publication follow its head: the envelope, six bounds and the number."""

MAX_HEADS = limit(
    4_096,
    "accounts whose heads of publications are cached, half a kilobyte each",
    per="replica",
    then="the cache begins anew",
)
"""Of how many accounts the heads of publications are cached, half a kilobyte each."""

Execute = Callable[..., Awaitable[Any]]


class Retention(Struct, frozen=True, kw_only=True):
    """What Redis keeps of each account for replicas and clients that were disconnected."""

    seconds: int = 240
    envelopes: int = limit(
        2_048, "events in Redis", per="account", then="the oldest are dropped; who missed them reads again"
    )
    bytes: int = limit(
        1_000_000,
        "bytes of events in Redis",
        per="account",
        then="the oldest are dropped; who missed them reads again",
        setting="HAPPY_RECOVERY_ACCOUNT_BYTES",
    )
    total_bytes: int = limit(
        64_000_000,
        "bytes of events of all accounts in Redis",
        per="cluster",
        then="those of the account that is quiet for longest are dropped",
        setting="HAPPY_RECOVERY_TOTAL_BYTES",
    )


class HistorySlice(NamedTuple):
    """The envelopes after an offset, and how much the history holds.

    `last` is the offset published last, `first` that of the oldest envelope still kept, `before` the one
    before that; each is 0 if there is none. `envelopes` are pairs of offset and message; a message that was
    too large to be kept is empty.
    """

    last: int
    first: int
    before: int
    envelopes: list[tuple[int, bytes]]


class RedisEnvelopes:
    """Commands that publish envelopes, and queries for those that are kept."""

    def __init__(self, prefix: str, retention: Retention) -> None:
        self.retention = retention
        self._prefix = prefix
        self._publish = self._recover = b""
        bounds = (retention.envelopes, retention.bytes, retention.total_bytes)
        lifetimes = (retention.seconds * 1000, OFFSET_SECONDS * 1000)
        self._bounds = pack_some((*bounds, *lifetimes, f"{prefix}h:"))
        self._heads = lru_cache(MAX_HEADS)(self._head)

    async def load(self, execute: Execute) -> None:
        """Load the scripts into Redis, which may be another server than before."""
        self._publish = await execute("SCRIPT", "LOAD", PUBLISH)
        self._recover = await execute("SCRIPT", "LOAD", RECOVER)
        self._heads.cache_clear()

    def channel(self, account_id: AccountId) -> str:
        return f"{self._prefix}e:{account_id}"

    def publication(
        self, account_id: AccountId, replica_id: ReplicaId, number: int, *message: bytes
    ) -> bytes:
        """The command that publishes an envelope. It is idempotent: numbers of one replica only grow.

        The message is given in pieces: the envelope in it may be large, and is copied once.
        """
        head, size = self._heads(account_id, replica_id), sum(map(len, message))
        return b"".join((head, b"$%d\r\n" % size, *message, b"\r\n", self._bounds, pack_some((number,))))

    def _head(self, account_id: AccountId, replica_id: ReplicaId) -> bytes:
        """The command up to the envelope. It is the same for each event of an account."""
        prefix = self._prefix
        last = f"{prefix}u:{account_id}:{replica_id}"
        keys = (*self._keys(account_id), f"{prefix}quiet", f"{prefix}sizes", last)
        parts = ("EVALSHA", self._publish, len(keys), *keys, self.channel(account_id), account_id)
        return b"*%d\r\n%b" % (len(parts) + PARTS_AFTER_HEAD, pack_some(parts))

    async def last_offset(self, execute: Execute, account_id: AccountId) -> int:
        """The last offset of an account, 0 if nothing was published for `OFFSET_SECONDS`."""
        return int(await execute("HGET", self._keys(account_id)[0], "place") or 0)

    async def after(self, execute: Execute, account_id: AccountId, offset: int) -> HistorySlice:
        """What was published after `offset`, as far as it is still kept."""
        keys = self._keys(account_id)
        last, first, before, entries = await execute("EVALSHA", self._recover, 2, *keys, offset)
        envelopes = [(_offset(entry_id), fields[3]) for entry_id, fields in entries]
        return HistorySlice(int(last), _offset(first), int(before), envelopes)

    def _keys(self, account_id: AccountId) -> tuple[str, str]:
        return f"{self._prefix}t:{account_id}", f"{self._prefix}h:{account_id}"


def _offset(entry_id: bytes) -> int:
    """The offset in the id of a stream's entry, as in `160-0`."""
    return int(entry_id.partition(b"-")[0])
