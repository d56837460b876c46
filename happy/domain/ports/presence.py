"""Which connections are live, and on which replica."""

from collections.abc import Sequence
from typing import Final, Protocol

from msgspec import Struct

from happy.domain.values import AccountId, ConnectionId, ReplicaId

FOREGROUND: Final = "foreground"
"""What user-scoped connections claim in `Presence` while their app is in the foreground."""


class Holder(Struct, frozen=True):
    """The live connection that holds a claim. A higher rank comes before a newer claim."""

    replica_id: ReplicaId
    connection_id: ConnectionId
    rank: int = 0


class Presence(Protocol):
    """Claims of live connections on names, until released, or until their replica stops renewing them."""

    async def claim(self, account_id: AccountId, name: str, holder: Holder) -> None:
        """Claim `name`, or make an earlier claim of this holder the newest."""
        ...

    async def release(self, account_id: AccountId, name: str, holder: Holder) -> None: ...

    def claim_soon(self, account_id: AccountId, name: str, holder: Holder) -> None:
        """The same as `claim`, but returns at once: other replicas see it a moment later."""
        ...

    def release_soon(self, account_id: AccountId, name: str, holder: Holder) -> None:
        """The same as `release`, but returns at once."""
        ...

    async def is_held(self, account_id: AccountId, name: str) -> bool:
        """Whether any connection holds `name`. Raises Unavailable when other replicas are unreachable."""
        ...

    async def holders(self, account_id: AccountId, name: str) -> Sequence[Holder]:
        """The current holders of `name`: the highest rank first, the newest first among equals."""
        ...
