"""Refuses what would make an account store more than its quotas, without a query for each write.

Sessions are counted when one is made. Bytes and attachments are added up here and written into the rows of
their sessions every few seconds; what accounts that write have stored is then read, which costs as much as
they have sessions. In between, what was read last and what was added here since decides: replicas may
exceed a quota by what they take in within these seconds. Deleted sessions count no more at once.
"""

import logging
from collections import defaultdict

from happy.domain.errors import OverQuota
from happy.domain.ports.repositories.storage import Growth, Stored
from happy.domain.ports.store import Store
from happy.domain.values import AccountId, SessionId
from happy.limits import limit
from happy.metrics import Counter
from happy.quotas import Quotas
from happy.telemetry import LimitedLog

MAX_ACCOUNTS = limit(
    10_000,
    "accounts whose stored bytes are remembered for quotas",
    per="replica",
    then="those that wrote least recently are read again",
)
SECONDS = 5.0
"""Between two counts."""

MAX_READ = limit(500, "accounts that are read after each count of what they store", per="count", then="later")

LINES_A_MINUTE = 20

log = logging.getLogger(__name__)


class QuotaService:
    """Without quotas, nothing is counted. `exceeded` counts refusals by quota."""

    def __init__(self, store: Store, quotas: Quotas | None = None, exceeded: Counter | None = None) -> None:
        self._store = store
        self._exceeded = exceeded or Counter("quotas_exceeded", "quota")
        self._log = LimitedLog(
            log, "an account has used up its quota", level=logging.INFO, burst=LINES_A_MINUTE
        )
        self._quotas = quotas or Quotas()
        self.counts = self._quotas.bytes is not None or self._quotas.attachments is not None
        self._known: dict[AccountId, Stored] = {}  # who wrote least recently first
        self._unread: dict[AccountId, None] = {}
        self._growth: dict[SessionId, list[int]] = defaultdict(lambda: [0, 0])

    async def admit_session(self, account_id: AccountId) -> None:
        """One more session. Raises OverQuota."""
        quota = self._quotas.sessions
        if quota is None:
            return
        if await self._store.read(lambda tx: tx.storage.has_sessions(account_id, quota)):
            text = f"This account may have {quota} sessions. Delete some to make more"
            raise self._refused("sessions", account_id, text)

    def admit_bytes(self, account_id: AccountId, size: int) -> None:
        """Messages of that size. Raises OverQuota."""
        if self.counts:
            self._admit(account_id, size, 0)

    async def admit_attachment(self, account_id: AccountId, size: int) -> None:
        """One more attachment, of that size. Raises OverQuota."""
        if not self.counts:
            return
        if account_id not in self._known:
            self._keep(account_id, await self._store.read(lambda tx: tx.storage.stored(account_id)))
        self._admit(account_id, size, 1)

    def _admit(self, account_id: AccountId, size: int, attachments: int) -> None:
        self._unread[account_id] = None
        known = self._known.get(account_id)
        if known is None:
            return
        most, files = self._quotas.bytes, self._quotas.attachments
        if most is not None and known.bytes + size > most:
            text = f"This account may store {most} bytes. Delete sessions to make room"
            raise self._refused("bytes", account_id, text)
        if files is not None and attachments and known.attachments + attachments > files:
            text = f"This account may store {files} attachments. Delete sessions to make room"
            raise self._refused("attachments", account_id, text)

    def _refused(self, quota: str, account_id: AccountId, text: str) -> OverQuota:
        self._exceeded.add(quota)
        self._log(f"{quota}, account {account_id}")
        return OverQuota(text)

    def add(self, account_id: AccountId, session_id: SessionId, size: int, attachments: int = 0) -> None:
        """So much was stored in a session."""
        if not self.counts:
            return
        growth = self._growth[session_id]
        growth[0] += size
        growth[1] += attachments
        known = self._known.get(account_id)
        if known is not None:
            known.bytes += size
            known.attachments += attachments

    async def count(self) -> None:
        """Write down what was added, and read what accounts that write have stored."""
        while self._growth:
            session_id, growth = self._growth.popitem()
            await self._grow(Growth(session_id, *growth))
        for account_id in list(self._unread)[:MAX_READ]:
            del self._unread[account_id]
            self._keep(account_id, await self._stored(account_id))

    async def _grow(self, growth: Growth) -> None:
        """Alone: transactions of heartbeats lock the rows of many sessions in an order of their own."""
        try:
            await self._store.write(lambda tx: tx.storage.grow([growth]))
        except BaseException:
            again = self._growth[growth.session_id]
            again[0] += growth.bytes
            again[1] += growth.attachments
            raise

    async def _stored(self, account_id: AccountId) -> Stored:
        return await self._store.read(lambda tx: tx.storage.stored(account_id))

    def _keep(self, account_id: AccountId, stored: Stored) -> None:
        self._known.pop(account_id, None)
        self._known[account_id] = stored
        if len(self._known) > MAX_ACCOUNTS:
            del self._known[next(iter(self._known))]
