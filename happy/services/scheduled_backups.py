"""Backs up every so often; among replicas, one does it, and another one if that one dies."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Protocol

from msgspec import Struct

from happy.domain.backups import BackupFailed, BackupRecord, StoredBackup
from happy.domain.errors import Unavailable
from happy.domain.ports.clock import Clock
from happy.domain.ports.store import Store
from happy.domain.values import MINUTE, SECOND, Millis
from happy.metrics import BackupState
from happy.services.background import running
from happy.services.backup_retention import Retention, superseded

CLAIM: Final = 60 * SECOND
"""How long, in ms, others wait for a replica that does not extend its claim: it died."""

EXTEND_SECONDS: Final = 20.0
FIRST_PAUSE: Final = 15 * MINUTE
START: Final = 2 * MINUTE
LOOK_SECONDS: Final = 60.0
"""How often, in s, it is checked whether a backup is due."""

log = logging.getLogger(__name__)


class BackupStorage(Protocol):
    """Where backups are kept. Every method raises BackupFailed."""

    async def make(self, now: Millis) -> BackupRecord:
        """A whole backup; after an error, or when it is cancelled, there is none."""
        ...

    async def list(self) -> list[StoredBackup]: ...

    async def delete(self, name: str) -> None: ...


class Plan(Struct, frozen=True):
    """Where backups go, how often (in ms), and how many are kept."""

    target: str
    every: int
    keep: Retention

    @property
    def look_seconds(self) -> float:
        return min(LOOK_SECONDS, self.every / 10_000)


class ScheduledBackups:
    def __init__(
        self, store: Store, storage: BackupStorage, clock: Clock, holder: str, plan: Plan, state: BackupState
    ) -> None:
        """`holder` names this replica."""
        self._store = store
        self._storage = storage
        self._clock = clock
        self._holder = holder
        self._plan = plan
        self._state = state
        self._started = clock()
        self._not_before = self._later(self._started, min(START, plan.every // 10))
        self._failures = 0
        self._warned = self._started
        state.target = plan.target

    async def run_when_due(self) -> None:
        """Back up if the last one is older than it should be. Failures are logged and counted."""
        now = self._clock()
        last = await self._last()
        self._show(now, last)
        if now < self._not_before or not self._is_due(now, last):
            return
        if not await self._claim():
            return
        again = Millis(0)
        try:
            last = await self._last()  # another replica may just have made one
            if self._is_due(now, last):
                async with running(_repeat(EXTEND_SECONDS, self._claim)):
                    await self._back_up(now)
        except BackupFailed as failure:
            again = self._failed(now, failure)
        finally:
            await self._release(again)

    async def _back_up(self, now: Millis) -> None:
        made = await self._storage.make(now)
        await self._store.write(lambda tx: tx.backups.record(self._plan.target, made))
        self._failures = 0
        self._show(now, made)
        log.info(
            "backup made",
            extra={"backup": made.name, "bytes": made.bytes, "seconds": made.milliseconds / 1000},
        )
        with suppress(BackupFailed):  # whatever keeps backups from being listed is seen by the next backup
            await self._prune(made)

    async def _prune(self, made: BackupRecord) -> None:
        """Only where the new backup is seen to be: it must not be that the last good one is deleted."""
        stored = await self._storage.list()
        if made.name not in {backup.name for backup in stored}:
            log.warning("the backup %s is not where it was put: no older one is deleted", made.name)
            return
        for backup in superseded(stored, self._plan.keep):
            await self._storage.delete(backup.name)

    def _failed(self, now: Millis, failure: BackupFailed) -> Millis:
        """When it is tried again: ever later, but never later than the next one is due."""
        pause = min(FIRST_PAUSE * 2**self._failures, self._plan.every // 2)
        self._failures += 1
        self._state.failures += 1
        self._state.last_error = str(failure)
        self._not_before = self._later(now, pause)
        log.warning("backup failed: %s; next attempt in %d s", failure, pause // SECOND)
        return self._not_before

    def _is_due(self, now: Millis, last: BackupRecord | None) -> bool:
        return last is None or now >= last.made_at + self._plan.every

    def _show(self, now: Millis, last: BackupRecord | None) -> None:
        """Metrics and health; a warning once in a period while there is no backup from the last two."""
        state, since = self._state, self._started
        if last is not None:
            since = last.made_at
            state.made_at, state.bytes, state.milliseconds = last.made_at, last.bytes, last.milliseconds
        state.overdue = now - since > 2 * self._plan.every
        if state.overdue and now - self._warned >= self._plan.every:
            self._warned = now
            log.warning(
                "no backup was made for %.1f hours",
                (now - since) / (60 * MINUTE),
                extra={"reason": state.last_error},
            )

    async def _last(self) -> BackupRecord | None:
        return await self._store.read(lambda tx: tx.backups.last(self._plan.target))

    async def _claim(self) -> bool:
        now = self._clock()
        return await self._store.write(
            lambda tx: tx.backups.claim(self._plan.target, self._holder, now, Millis(now + CLAIM))
        )

    async def _release(self, until: Millis) -> None:
        with suppress(Unavailable):  # the claim ends by itself
            await self._store.write(lambda tx: tx.backups.release(self._plan.target, self._holder, until))

    @staticmethod
    def _later(now: Millis, pause: int) -> Millis:
        """With jitter, so that replicas that start together do not query in step."""
        return Millis(now + int(pause * random.uniform(1.0, 1.5)))  # noqa: S311 - not a secret


async def _repeat(seconds: float, action: Callable[[], Awaitable[bool]]) -> None:
    """Keeps the claim for as long as the backup takes."""
    while True:
        await asyncio.sleep(seconds)
        with suppress(Unavailable):  # another replica may begin too: two backups do no harm
            await action()
