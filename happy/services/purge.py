"""Finds what is old and not needed any more, and removes it in short transactions beside running servers.

Most of it the server's own jobs remove by themselves; inactive sessions and orphaned files nobody else does.
"""

from functools import partial

from happy.domain.accounts import UNANSWERED_LIFETIME
from happy.domain.amounts import counted
from happy.domain.audit import MAX_AGE, MAX_ENTRIES
from happy.domain.errors import NotFound
from happy.domain.leftovers import Deadlines, Leftover
from happy.domain.ports.clock import Clock
from happy.domain.ports.filestore import FileStore
from happy.domain.ports.store import Store, Transaction
from happy.domain.progress import Progress, Step
from happy.domain.registration import DECISION_LIFETIME, INVITE_KEPT, WAITING_LIFETIME
from happy.domain.values import HOUR, AccountId, Millis, SessionId
from happy.services import pairing, registration
from happy.services.announcements import announce
from happy.services.audit import record
from happy.services.batches import in_batches
from happy.services.deletions import Deletions
from happy.services.orphaned_files import Folder, orphaned
from happy.services.pairing import FORGET_AFTER

DAY = 24 * HOUR
PAGE = 1_000
"""Sessions that one read finds."""


class Purge:
    def __init__(
        self,
        store: Store,
        files: FileStore,
        clock: Clock,
        progress: Progress,
        *,
        inactive_days: int | None = None,
        orphaned_files: bool = False,
    ) -> None:
        """`inactive_days`: also sessions that were not used for so long; None: no sessions."""
        self._store = store
        self._files = files
        self._clock = clock
        self._progress = progress
        self._inactive_days = inactive_days
        self._orphaned_files = orphaned_files
        self._hidden = self._to_hide = 0

    async def find(self) -> list[Leftover]:
        """What `remove` would remove, kind by kind; also kinds of which there is nothing."""
        deadlines = _deadlines(self._clock())
        expired = await self._store.read(lambda tx: tx.leftovers.expired(deadlines))
        return [
            *await self._inactive(),
            Leftover("expired linking requests", expired.linking),
            Leftover("expired registration requests and invites", expired.registration),
            Leftover("old entries of the audit log", expired.audit),
            Leftover("unfinished deletions", expired.deletions),
            *await self._orphaned(),
        ]

    async def remove(self) -> None:
        """Remove all of it, and what became of it meanwhile."""
        now = self._clock()
        if self._inactive_days is not None:
            await self._delete_inactive(self._before())
        self._progress(Step("removing requests"))
        await pairing.drop_expired(self._store, now)
        await registration.drop_expired(self._store, now)
        kept = Millis(now - MAX_AGE)
        self._progress(Step("removing old entries of the audit log"))
        await in_batches(self._store, lambda tx, limit: tx.audit.prune(kept, MAX_ENTRIES, limit))
        await Deletions(self._store, self._files, self._clock).sweep(self._progress)
        await self._remove_orphaned()
        await self._store.write(lambda tx: record(tx, now, "command line", "server.purge", self._subject()))

    async def _remove_orphaned(self) -> None:
        folders = await self._orphaned_folders()
        removed, total = 0, sum(folder.bytes for folder in folders)
        for folder in folders:
            await self._files.delete_prefix(folder.prefix)
            removed += folder.bytes
            self._progress(Step("removing files", removed, total, "byte"))

    def _subject(self) -> str:
        days = self._inactive_days
        return "leftovers" if days is None else f"leftovers, sessions inactive for {counted(days, 'day')}"

    def _before(self) -> Millis:
        assert self._inactive_days is not None
        return Millis(max(self._clock() - self._inactive_days * DAY, 0))

    async def _inactive(self) -> list[Leftover]:
        if self._inactive_days is None:
            return []
        found = await self._store.read(lambda tx: tx.leftovers.inactive(self._before()))
        kind = f"sessions inactive for {counted(self._inactive_days, 'day')}"
        return [Leftover(kind, found.sessions, found.bytes or None, found.messages)]

    async def _delete_inactive(self, before: Millis) -> None:
        """Page by page: each goes on where the last one ended, so that no session is looked at twice."""
        found = await self._store.read(lambda tx: tx.leftovers.inactive(before))
        self._hidden, self._to_hide = 0, found.sessions
        after = SessionId("")
        while page := await self._store.read(partial(_some_inactive, before, after, PAGE)):
            await in_batches(self._store, partial(self._delete_some, before, after, frozenset(page)))
            after = page[-1][1]

    async def _delete_some(
        self,
        before: Millis,
        after: SessionId,
        page: frozenset[tuple[AccountId, SessionId]],
        tx: Transaction,
        limit: int,
    ) -> int:
        """Hide some of the page, as `sessions delete` does with one."""
        now, chosen = self._clock(), page.intersection(await _some_inactive(before, after, limit, tx))
        for account_id, session_id in chosen:
            if not await tx.sessions.delete(account_id, session_id, now):
                raise NotFound("a session was deleted meanwhile: run the command again")
            await announce(tx, account_id, "session", session_id, now)
        self._hidden += len(chosen)
        self._progress(Step("deleting sessions", self._hidden, self._to_hide, "session"))
        return len(chosen)

    async def _orphaned(self) -> list[Leftover]:
        if not self._orphaned_files:
            return []
        folders = await self._orphaned_folders()
        count, size = sum(folder.files for folder in folders), sum(folder.bytes for folder in folders)
        return [Leftover("files without a session or account", count, size)]

    async def _orphaned_folders(self) -> list[Folder]:
        if not self._orphaned_files:
            return []
        return await orphaned(self._store, self._files, self._progress)


async def _some_inactive(
    before: Millis, after: SessionId, limit: int, tx: Transaction
) -> list[tuple[AccountId, SessionId]]:
    return await tx.leftovers.some_inactive(before, after, limit)


def _deadlines(now: Millis) -> Deadlines:
    return Deadlines(
        now=now,
        unanswered=Millis(now - UNANSWERED_LIFETIME),
        answered=Millis(now - FORGET_AFTER),
        waiting=Millis(now - WAITING_LIFETIME),
        decided=Millis(now - DECISION_LIFETIME),
        invites=Millis(now - INVITE_KEPT),
        audit=Millis(now - MAX_AGE),
    )
