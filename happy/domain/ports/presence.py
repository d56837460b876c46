"""Which connections are live, and on which replica."""

from collections.abc import Sequence
from typing import Final, Protocol

from msgspec import Struct

from happy.domain.values import AccountId, ConnectionId, ReplicaId

FOREGROUND: Final = "foreground"
"""What user-scoped connections claim in `Presence` while somebody looks at them."""


class Holder(Struct, frozen=True):
    """The live connection that holds a claim. A higher rank comes before a newer claim."""

    replica_id: ReplicaId
    connection_id: ConnectionId
    rank: int = 0


class Presence(Protocol):
    """Claims of live connections on names, gone when released or when their node stops renewing them."""

    async def claim(self, account_id: AccountId, name: str, holder: Holder) -> None:
        """Claim `name`, or make an earlier claim of this holder the newest."""
        ...

    async def release(self, account_id: AccountId, name: str, holder: Holder) -> None: ...

    def claim_soon(self, account_id: AccountId, name: str, holder: Holder) -> None:
        """The same as `claim`, but returns at once: other nodes see it a moment later."""
        ...

    def release_soon(self, account_id: AccountId, name: str, holder: Holder) -> None:
        """The same as `release`, but returns at once."""
        ...

    async def is_held(self, account_id: AccountId, name: str) -> bool:
        """Whether anybody holds `name`. Raises Unavailable when other nodes cannot be asked."""
        ...

    async def holders(self, account_id: AccountId, name: str) -> Sequence[Holder]:
        """The current holders of `name`: the highest rank first, the newest first among equals."""
        ...
