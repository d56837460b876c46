"""The frames of accounts as Redis keeps them: in one order, for some minutes, within bounds."""

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, NamedTuple

from msgspec import Struct

from happy.adapters.full.redis.scripts import PUBLISH, RECOVER
from happy.adapters.full.redis.wire import pack_some
from happy.domain.values import AccountId, ReplicaId

PLACE_SECONDS = 3600
"""How long the last place of a silent account is known: much longer than anybody is waited for."""

BEHIND_HEAD = 8
"""How many parts of a publication follow its head: the frame, six bounds and the number."""

MOST_HEADS = 4_096
"""Of how many accounts the heads are kept, half a kilobyte each."""

Ask = Callable[..., Awaitable[Any]]


class Retention(Struct, frozen=True, kw_only=True):
    """What Redis keeps of each account for nodes and clients that were away."""

    seconds: int = 240
    envelopes: int = 2_048
    bytes: int = 1_000_000
    total_bytes: int = 64_000_000


class Kept(NamedTuple):
    """The last place of all, the first frame that is left and the place before it, and frames with theirs.

    A frame that was too large to be kept is empty.
    """

    top: int
    first: int
    before: int
    envelopes: list[tuple[int, bytes]]


class RedisEnvelopes:
    """Commands that publish frames, and questions for them."""

    def __init__(self, prefix: str, keeping: Retention) -> None:
        self.keeping = keeping
        self._prefix = prefix
        self._publish = self._recover = b""
        bounds = (keeping.envelopes, keeping.bytes, keeping.total_bytes)
        lives = (keeping.seconds * 1000, PLACE_SECONDS * 1000)
        self._bounds = pack_some((*bounds, *lives, f"{prefix}h:"))
        self._heads = lru_cache(MOST_HEADS)(self._head)

    async def load(self, ask: Ask) -> None:
        """Give Redis the scripts; it may be another one than before."""
        self._publish = await ask("SCRIPT", "LOAD", PUBLISH)
        self._recover = await ask("SCRIPT", "LOAD", RECOVER)
        self._heads.cache_clear()

    def channel(self, account_id: AccountId) -> str:
        return f"{self._prefix}e:{account_id}"

    def publication(
        self, account_id: AccountId, replica_id: ReplicaId, number: int, envelope: bytes
    ) -> bytes:
        """The command that publishes a frame; repeated, it does nothing. Numbers of one node only grow."""
        head = self._heads(account_id, replica_id)
        return b"".join((head, pack_some((envelope,)), self._bounds, pack_some((number,))))

    def _head(self, account_id: AccountId, replica_id: ReplicaId) -> bytes:
        """The command up to the frame. It is the same for each event of an account."""
        prefix = self._prefix
        last = f"{prefix}u:{account_id}:{replica_id}"
        keys = (*self._keys(account_id), f"{prefix}quiet", f"{prefix}sizes", last)
        parts = ("EVALSHA", self._publish, len(keys), *keys, self.channel(account_id), account_id)
        return b"*%d\r\n%b" % (len(parts) + BEHIND_HEAD, pack_some(parts))

    async def top(self, ask: Ask, account_id: AccountId) -> int:
        """The last place of an account, 0 if nothing was published for long."""
        return int(await ask("HGET", self._keys(account_id)[0], "place") or 0)

    async def after(self, ask: Ask, account_id: AccountId, place: int) -> Kept:
        """What was published after `place`, as far as it is still there."""
        top, first, before, entries = await ask("EVALSHA", self._recover, 2, *self._keys(account_id), place)
        envelopes = [(_place(name), fields[3]) for name, fields in entries]
        return Kept(int(top), _place(first), int(before), envelopes)

    def _keys(self, account_id: AccountId) -> tuple[str, str]:
        return f"{self._prefix}t:{account_id}", f"{self._prefix}h:{account_id}"


def _place(name: bytes) -> int:
    """The place in the name of a stream's entry."""
    return int(name.partition(b"-")[0])
