"""Read and atomically change the key-value store (protocol: http#key-value-store)."""

from collections.abc import Sequence

from happy.domain.artifacts import KvEntry, KvMutation, stale
from happy.domain.errors import Conflict, Invalid, NotFound
from happy.domain.events import TO_USER, KvBatchUpdate, KvChange
from happy.domain.ids import new_id
from happy.domain.listing import Large
from happy.domain.ports.store import Store
from happy.domain.values import AccountId
from happy.services.unit_of_work import Changes, UnitOfWork

ATTEMPTS = 3


class StaleMutations(Conflict):
    """Some mutations expected other versions; nothing was written."""

    def __init__(self, entries: list[KvEntry]) -> None:
        super().__init__()
        self.entries = entries


class LostRace(Exception):
    """Another transaction wrote a key after this one had read its version."""


class KvService:
    def __init__(self, store: Store, unit_of_work: UnitOfWork) -> None:
        self._store = store
        self._unit_of_work = unit_of_work

    async def get(self, account_id: AccountId, key: str) -> KvEntry:
        """Raises NotFound for a key that was never stored or was deleted."""
        found = await self.find(account_id, key)
        if found is None:
            raise NotFound("Key not found")
        return found

    async def find(self, account_id: AccountId, key: str) -> KvEntry | None:
        stored = await self._store.read(lambda tx: tx.kv.get_many(account_id, [key]))
        return next((entry for entry in stored.values() if entry.value is not None), None)

    async def get_many(self, account_id: AccountId, keys: Sequence[str]) -> list[KvEntry | Large]:
        """Entries that exist, each once."""
        return await self._store.read(lambda tx: tx.kv.given(account_id, keys))

    async def page(self, account_id: AccountId, prefix: str, limit: int) -> list[KvEntry | Large]:
        """Entries whose key begins with `prefix`, ascending by code points."""
        return await self._store.read(lambda tx: tx.kv.page(account_id, prefix, limit))

    async def mutate(self, account_id: AccountId, mutations: Sequence[KvMutation]) -> list[int]:
        """Write all mutations or none, and return the new versions in their order.

        Raises StaleMutations when any version differs, Invalid when a key comes twice.
        """
        if len({mutation.key for mutation in mutations}) < len(mutations):
            raise Invalid("Duplicate key")

        async def write(changes: Changes) -> list[int]:
            versions = await _write(changes, account_id, mutations)
            written = [
                KvChange(mutation.key, mutation.value, version)
                for mutation, version in zip(mutations, versions, strict=True)
            ]
            changes.record(account_id, TO_USER, KvBatchUpdate(written))
            return versions

        for _ in range(ATTEMPTS):
            try:
                return await self._unit_of_work.run(write)
            except LostRace:
                continue
        raise Conflict


async def _write(changes: Changes, account_id: AccountId, mutations: Sequence[KvMutation]) -> list[int]:
    stored = await changes.tx.kv.get_many(account_id, [mutation.key for mutation in mutations])
    outdated = stale(mutations, stored)
    if outdated:
        raise StaleMutations(outdated)
    versions: dict[str, int] = {}
    for mutation in sorted(mutations, key=lambda mutation: mutation.key):  # a fixed order avoids deadlocks
        version = await changes.tx.kv.put(account_id, new_id(changes.now), mutation, changes.now)
        if version is None:
            raise LostRace
        versions[mutation.key] = version
    return [versions[mutation.key] for mutation in mutations]
