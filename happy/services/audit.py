"""Records administrative acts, and shows in the log and the metrics of every replica what was recorded."""

import logging

from happy.domain.audit import MAX_AGE, MAX_ENTRIES, Action, Actor, AuditEntry, audit_entry
from happy.domain.ports.clock import Clock
from happy.domain.ports.store import Store, Transaction
from happy.domain.values import MINUTE, Millis
from happy.metrics import Counter
from happy.services.batches import in_batches

SHOWN_AT_ONCE = 2_000
"""Acts of a minute; of more the oldest are in the audit log alone."""
OVERLAP = 1 * MINUTE
"""How far back, in ms, a look goes: entries are committed after they were made, and clocks differ."""

log = logging.getLogger(__name__)


async def record(
    tx: Transaction, now: Millis, actor: Actor, action: Action, subject: str, detail: str = ""
) -> None:
    """Add an entry to the audit log, in the transaction of the act. No secret may be in it.

    For example `await record(tx, now, "command line", "token.revoke", token_id, f"account {account_id}")`.
    """
    await tx.audit.add(audit_entry(now, actor, action, subject, detail))


class AuditTrail:
    """Follows the audit log: acts of the command line and of other replicas are shown here as well."""

    def __init__(self, store: Store, clock: Clock, counter: Counter) -> None:
        self._store = store
        self._clock = clock
        self._counter = counter
        self._started = self._looked = clock()
        self._shown: frozenset[str] = frozenset()

    async def follow(self) -> None:
        """Log and count what was recorded since the last look, once each."""
        since = Millis(max(self._started, self._looked - OVERLAP))
        self._looked = self._clock()
        found = await self._store.read(lambda tx: tx.audit.since(since, SHOWN_AT_ONCE))
        for entry in reversed(found):
            if entry.id not in self._shown:
                self._show(entry)
        self._shown = frozenset(entry.id for entry in found)

    async def prune(self) -> None:
        """Delete what is beyond the bounds of the audit log."""
        before = Millis(self._clock() - MAX_AGE)
        await in_batches(self._store, lambda tx, limit: tx.audit.prune(before, MAX_ENTRIES, limit))

    def _show(self, entry: AuditEntry) -> None:
        self._counter.add(entry.actor, entry.action)
        log.info(
            "%s: %s",
            entry.action,
            entry.subject,
            extra={"actor": entry.actor, "detail": entry.detail},
        )
