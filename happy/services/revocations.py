"""Which tokens are refused though their signature is valid: known in memory, read from the database.

protocol: http#authentication, cryptography#revocation

Every change of a revocation gets the next revision. Each replica reads what is newer than what it knows twice
a second, so a change takes effect everywhere within a second; while the database does not answer, what is
known holds. To check a token costs no round trip.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable

from happy.crypto import Claims
from happy.domain.errors import Unavailable
from happy.domain.ports.clock import Clock
from happy.domain.ports.store import Store
from happy.domain.revocations import Refused, Revocation
from happy.domain.values import HOUR, AccountId, Millis
from happy.services.batches import in_batches

POLL_SECONDS = 0.5
ROWS_AT_ONCE = 1_000
DAY_SECONDS = 86_400
DELETED_LIFETIME = 30 * 24 * HOUR
"""How long the row of a deleted account outlives it, in ms: for replicas that could not read it."""

OnChange = Callable[[AccountId], None]

log = logging.getLogger(__name__)


class Revocations:
    def __init__(self, store: Store, clock: Clock, token_days: int | None = None) -> None:
        """`token_days` is how long after its issue a token is accepted; None: for ever."""
        self._store = store
        self._clock = clock
        self._lifetime = math.inf if token_days is None else token_days * DAY_SECONDS
        self._accounts: dict[str, Revocation] = {}
        self._tokens: set[str] = set()
        self._revision = 0
        self._on_change: list[OnChange] = []
        self._silent_since: float | None = None

    def listen(self, on_change: OnChange) -> None:
        """Call `on_change` with each account some of whose tokens may be refused or accepted from now on."""
        self._on_change.append(on_change)

    @property
    def tokens_expire(self) -> bool:
        """Whether tokens are accepted for a limited time only."""
        return self._lifetime is not math.inf

    def refusal(self, claims: Claims) -> Refused | None:
        """Why this token is refused now; None if it is accepted."""
        account = self._accounts.get(claims.account_id)
        if account is not None and (reason := _refusal(account, claims.issued_at)) is not None:
            return reason
        if claims.token_id in self._tokens:
            return Refused.REVOKED
        if self.tokens_expire and self._has_expired(claims.issued_at):
            return Refused.EXPIRED
        return None

    def _has_expired(self, issued_at: float | None) -> bool:
        """A token without the time of its issue counts as old."""
        return issued_at is None or issued_at + self._lifetime <= self._clock() / 1000

    async def load(self) -> None:
        """Read what changed. Raises Unavailable."""
        while rows := await self._store.read(lambda tx: tx.revocations.after(self._revision, ROWS_AT_ONCE)):
            for row in rows:
                self._apply(row)
                self._revision = row.revision
            for account_id in dict.fromkeys(row.account_id for row in rows):
                self._announce(account_id)

    def _announce(self, account_id: AccountId) -> None:
        for on_change in self._on_change:
            on_change(account_id)

    async def poll(self) -> None:
        """The same; while the database does not answer, that is logged once."""
        try:
            await self.load()
        except Unavailable:
            if self._silent_since is None:
                self._silent_since = time.monotonic()
                log.warning("revocations cannot be read: those that are known hold, new ones have to wait")
            await asyncio.sleep(POLL_SECONDS)
            return
        if self._silent_since is not None:
            seconds = time.monotonic() - self._silent_since
            log.warning("revocations are read again, after %.0f s", seconds)
            self._silent_since = None

    async def sweep(self) -> None:
        """Forget accounts that were deleted long ago."""
        before = Millis(self._clock() - DELETED_LIFETIME)
        await in_batches(self._store, lambda tx, limit: tx.revocations.forget_deleted(before, limit))
        for account_id, row in list(self._accounts.items()):
            if row.deleted_at is not None and row.deleted_at < before:
                del self._accounts[account_id]
                self._announce(row.account_id)

    def _apply(self, row: Revocation) -> None:
        if row.token_id is not None:
            self._tokens.add(row.token_id)
        else:
            self._accounts[row.account_id] = row


def _refusal(account: Revocation, issued_at: float | None) -> Refused | None:
    if account.deleted_at is not None:
        return Refused.DELETED
    if account.disabled_at is not None:
        return Refused.DISABLED
    if account.signed_out_at is not None and (issued_at is None or issued_at * 1000 < account.tokens_begin):
        return Refused.SIGNED_OUT
    return None
