"""Keys that let one machine read one session (protocol: http#access-keys). No events anywhere."""

from happy.domain.artifacts import AccessKey
from happy.domain.errors import Conflict, NotFound
from happy.domain.ids import new_id
from happy.domain.ports.clock import Clock
from happy.domain.ports.store import Store, Transaction
from happy.domain.values import AccountId, MachineId, SessionId, Swap


class AccessKeyService:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def get(
        self, account_id: AccountId, session_id: SessionId, machine_id: MachineId
    ) -> AccessKey | None:
        """Raises NotFound unless both the session and the machine are the account's."""

        async def read(tx: Transaction) -> AccessKey | None:
            await _require_reachable(tx, account_id, session_id, machine_id)
            return await tx.access_keys.get(account_id, session_id, machine_id)

        return await self._store.read(read)

    async def create(
        self, account_id: AccountId, session_id: SessionId, machine_id: MachineId, data: str
    ) -> AccessKey:
        """Raises NotFound as `get` does, Conflict when there is a key already."""
        now = self._clock()

        async def add(tx: Transaction) -> None:
            await _require_reachable(tx, account_id, session_id, machine_id)
            if not await tx.access_keys.add(account_id, session_id, machine_id, new_id(now), data, now):
                raise Conflict("Access key already exists")

        await self._store.write(add)
        return AccessKey(data, 1, now, now)

    async def update(
        self, account_id: AccountId, session_id: SessionId, machine_id: MachineId, expected: int, data: str
    ) -> Swap[str]:
        """Replace the key if its version is still `expected`. Raises NotFound when there is none."""
        now = self._clock()
        return await self._store.write(
            lambda tx: tx.access_keys.swap(account_id, session_id, machine_id, expected, data, now)
        )


async def _require_reachable(
    tx: Transaction, account_id: AccountId, session_id: SessionId, machine_id: MachineId
) -> None:
    if not await tx.access_keys.reachable(account_id, session_id, machine_id):
        raise NotFound("Session or machine not found")
