"""Seals what is stored under the current master secret, so that previous ones are not needed any more."""

import asyncio
import logging
from collections.abc import Collection
from typing import Final, get_args

from msgspec import Struct

from happy.crypto import Keyring
from happy.domain.amounts import counted
from happy.domain.ports.clock import Clock
from happy.domain.ports.store import Store, Transaction
from happy.domain.progress import Progress, Step, silent
from happy.domain.sealed import SealedKind, SealedValue, path_of
from happy.services.audit import record

KINDS: Final[tuple[SealedKind, ...]] = get_args(SealedKind)
BATCH: Final = 32
"""Values are up to 1 MB; nobody else writes while a batch is stored on light."""

PAUSE_SECONDS: Final = 0.01

log = logging.getLogger(__name__)


class SealedState(Struct, frozen=True):
    """How many values of one kind are sealed with which secret. `unmarked` ones do not say."""

    kind: SealedKind
    current: int = 0
    previous: int = 0
    unmarked: int = 0
    unknown: int = 0
    """Sealed with a secret that is not named here."""


class Resealed(Struct, frozen=True):
    """What a run has done: values of one kind that were sealed again, and those that no secret here opens."""

    kind: SealedKind
    resealed: int
    unreadable: int


class Resealing:
    """Works in small transactions beside running servers; what a killed run left, the next one does."""

    def __init__(self, store: Store, keys: Keyring, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock

    async def state(self) -> list[SealedState]:
        """Of every kind, by what rows say of themselves; nothing is opened."""
        return [await self._state(kind) for kind in KINDS]

    async def run(self, progress: Progress = silent) -> list[Resealed]:
        """Seal again what is not known to be sealed with the current secret, and record that it was done."""
        done = [await self._run(kind, progress) for kind in KINDS]
        detail = ", ".join(counted(each.resealed, each.kind) for each in done)
        await self._store.write(
            lambda tx: record(
                tx, self._clock(), "command line", "secret.rotate", self._keys.at_rest.key_id, detail
            )
        )
        return done

    async def warn(self) -> None:
        """Name what cannot be read with the secrets that are named here."""
        for state in await self.state():
            if state.unknown:
                log.warning(
                    "sealed with a master secret that is not named here, and cannot be read: %s."
                    " Name it in HANDY_MASTER_SECRET_PREVIOUS and run `happy-server secret rotate`",
                    counted(state.unknown, state.kind),
                )

    async def _state(self, kind: SealedKind) -> SealedState:
        counts = await self._store.read(lambda tx: tx.sealed.counts(kind))
        current, *previous = await asyncio.to_thread(lambda: self._keys.key_ids)
        found = {each.key_id: each.count for each in counts}
        return SealedState(
            kind,
            current=found.pop(current, 0),
            previous=sum(found.pop(key_id, 0) for key_id in previous),
            unmarked=found.pop(None, 0),
            unknown=sum(found.values()),
        )

    async def _run(self, kind: SealedKind, progress: Progress) -> Resealed:
        resealed = unreadable = done = 0
        after, state = "", await self._state(kind)
        total = state.previous + state.unmarked + state.unknown
        while values := await self._page(kind, after):
            sealed = await asyncio.to_thread(self._reseal, values)
            unreadable += len(values) - len(sealed)
            resealed += await self._store_batch(kind, sealed)
            after, done = values[-1].id, done + len(values)
            progress(Step(f"sealing {kind}s", done, total, "value"))
            await asyncio.sleep(PAUSE_SECONDS)
        return Resealed(kind, resealed, unreadable)

    async def _page(self, kind: SealedKind, after: str) -> list[SealedValue]:
        key_id = self._keys.at_rest.key_id
        return await self._store.read(lambda tx: tx.sealed.page(kind, after, key_id, BATCH))

    def _reseal(self, values: Collection[SealedValue]) -> list[tuple[SealedValue, bytes]]:
        """Those that can be opened, with what is to be stored instead."""
        sealed = []
        for value in values:
            path = path_of(value)
            try:
                if path is not None:
                    sealed.append((value, self._keys.at_rest.reseal(path, value.blob).blob))
            except ValueError:
                log.debug("a sealed value cannot be opened", extra={"id": value.id})
        return sealed

    async def _store_batch(self, kind: SealedKind, batch: Collection[tuple[SealedValue, bytes]]) -> int:
        """How many have not changed meanwhile, and were stored."""
        key_id = self._keys.at_rest.key_id

        async def replace(tx: Transaction) -> int:
            return sum([await tx.sealed.replace(kind, value, blob, key_id) for value, blob in batch])

        return await self._store.write(replace)
