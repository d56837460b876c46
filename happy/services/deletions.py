"""Removes, in the background, the rows and files of deleted accounts, sessions and machines.

A deletion itself only hides, in one short transaction; see `schema.queries.deletions` for how. Unfinished
deletions go on after a restart. Replicas may work concurrently: each batch locks what it removes.
"""

import asyncio
import logging
from contextlib import suppress
from time import perf_counter
from typing import get_args

from happy.domain import attachments
from happy.domain.accounts import user_folder
from happy.domain.errors import HappyError, NotFound, Unavailable
from happy.domain.ports.clock import Clock
from happy.domain.ports.filestore import FileStore
from happy.domain.ports.repositories.deletions import Deletable
from happy.domain.ports.store import Store, Transaction
from happy.domain.progress import Progress, Step, silent
from happy.domain.values import HOUR, AccountId, MachineId, Millis, SessionId
from happy.services.batches import batch, in_batches, pause

POLL_SECONDS = 60.0
"""Interval at which a replica looks for unfinished deletions of others."""

RETRY_AFTER = 1 * HOUR

log = logging.getLogger(__name__)


class Deletions:
    def __init__(self, store: Store, files: FileStore, clock: Clock) -> None:
        self._store = store
        self._files = files
        self._clock = clock
        self._removed = 0
        self._waiting = asyncio.Event()
        self._waiting.set()

    def wake(self) -> None:
        """Start `run` now: something was deleted."""
        self._waiting.set()

    async def run(self) -> None:
        """Wait for `wake` or for a minute, then remove everything that is due."""
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._waiting.wait()
        self._waiting.clear()
        try:
            await self.sweep()
        except BaseException:
            self._waiting.set()
            raise

    async def sweep(self, progress: Progress = silent) -> None:
        """Remove all that is due, one batch after the other."""
        self._removed = 0
        for kind in get_args(Deletable):
            while await self._next(kind):
                progress(Step("removing what was deleted", self._removed))

    async def finish_machine(self, machine_id: MachineId) -> None:
        """Remove this machine now, because its id is being registered again."""
        while not await self._finish("machine", machine_id):
            await in_batches(self._store, lambda tx, limit: tx.deletions.remove("machine", machine_id, limit))

    async def _next(self, kind: Deletable) -> bool:
        """One batch of one of them; whether there was any."""
        began = perf_counter()
        target, is_empty = await self._store.write(lambda tx: self._batch(tx, kind))
        if target is None:
            return False
        if is_empty:
            await self._remove_files(kind, target)
            self._removed += 1
        await pause(perf_counter() - began)
        return True

    async def _batch(self, tx: Transaction, kind: Deletable) -> tuple[str | None, bool]:
        target = await tx.deletions.claim(kind, self._clock())
        if target is None:
            return None, True

        async def remove(tx: Transaction, limit: int) -> int:
            removed = await tx.deletions.remove(kind, target, limit)
            self._removed += removed
            return removed

        return target, await batch(tx, remove, self._store.batch_seconds)

    async def _remove_files(self, kind: Deletable, target: str) -> None:
        """Last come the files; when they cannot be removed, the deletion is postponed."""
        try:
            await self._remove_files_of(kind, target)
        except Unavailable:
            log.warning("files of a deleted %s cannot be removed yet", kind, exc_info=True)
            until = Millis(self._clock() + RETRY_AFTER)
            await self._store.write(lambda tx: tx.deletions.postpone(kind, target, until))
            return
        except HappyError:  # leftover ciphertext whose names nobody knows
            log.warning("files of a deleted %s were left behind", kind, exc_info=True)
        if await self._finish(kind, target) and kind == "account":
            log.info("a deleted account was removed", extra={"account": target})

    async def _remove_files_of(self, kind: Deletable, target: str) -> None:
        if kind == "session":
            await self._files.delete_prefix(attachments.folder(SessionId(target)))
        elif kind == "account":
            account_id, pictures = AccountId(target), user_folder(AccountId(target))
            # One person may have had two accounts, and linked both to the same GitHub user, one by one.
            if not await self._store.read(lambda tx: tx.deletions.pictures_in_use(account_id, pictures)):
                await self._files.delete_prefix(pictures)

    async def _finish(self, kind: Deletable, target: str) -> bool:
        """False when something was added to it at the last moment: the next batch removes that."""
        try:
            return await self._store.write(lambda tx: tx.deletions.finish(kind, target))
        except NotFound:
            return False
