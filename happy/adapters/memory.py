"""The bus, the replica link and presence of a server that is the only replica."""

from collections.abc import Sequence

from happy.domain.ports.cluster import OnEnvelope, OnMessage, OnResync
from happy.domain.ports.presence import Holder
from happy.domain.values import AccountId, ReplicaId


class MemoryBus:
    """Does nothing: the gateway delivers to connections of its own replica without the bus."""

    has_peers = False

    def listen(self, on_envelope: OnEnvelope, on_resync: OnResync) -> None:
        pass

    def publish(self, account_id: AccountId, *envelope: bytes) -> None:
        pass

    def begin_commit(self, account_id: AccountId) -> None:
        pass

    def end_commit(self, account_id: AccountId) -> None:
        pass

    def resync(self, account_id: AccountId) -> None:
        pass

    async def subscribe(self, account_id: AccountId) -> None:
        pass

    def unsubscribe(self, account_id: AccountId) -> None:
        pass


class MemoryLink:
    """Implements `ReplicaLink` where this replica is the only one."""

    def __init__(self, replica_id: ReplicaId) -> None:
        self.replica_id = replica_id

    def listen(self, on_message: OnMessage) -> None:
        pass

    def send(self, to: ReplicaId, payload: bytes) -> None:  # noqa: ARG002 - there is nowhere to send it
        raise LookupError(f"there is no replica but this one: {to}")

    async def deliver(self, to: ReplicaId, payload: bytes) -> bool:  # noqa: ARG002 - there is nowhere to send it
        return False

    async def is_alive(self, replica_id: ReplicaId) -> bool:
        return replica_id == self.replica_id


class MemoryPresence:
    """Claims in memory. They need no lease: when this process ends, everything they stand for has ended."""

    def __init__(self) -> None:
        self._claims: dict[tuple[AccountId, str], list[Holder]] = {}

    async def claim(self, account_id: AccountId, name: str, holder: Holder) -> None:
        self.claim_soon(account_id, name, holder)

    async def release(self, account_id: AccountId, name: str, holder: Holder) -> None:
        self.release_soon(account_id, name, holder)

    def claim_soon(self, account_id: AccountId, name: str, holder: Holder) -> None:
        held = self._claims.setdefault((account_id, name), [])
        if holder in held:
            held.remove(holder)
        held.append(holder)

    def release_soon(self, account_id: AccountId, name: str, holder: Holder) -> None:
        held = self._claims.get((account_id, name))
        if held is None or holder not in held:
            return
        held.remove(holder)
        if not held:
            del self._claims[account_id, name]

    async def is_held(self, account_id: AccountId, name: str) -> bool:
        return (account_id, name) in self._claims

    async def holders(self, account_id: AccountId, name: str) -> Sequence[Holder]:
        newest_first = self._claims.get((account_id, name), [])[::-1]
        return sorted(newest_first, key=lambda holder: -holder.rank)
