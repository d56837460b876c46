"""Remembers how tokens are used, for the list by which an owner finds the one that was stolen.

Notes are kept in memory and written in batches in the background, at most one per token in 10 minutes.
"""

import logging
import time

from happy.crypto import Claims
from happy.domain.errors import Unavailable
from happy.domain.ports.clock import Clock
from happy.domain.ports.store import Store, Transaction
from happy.domain.revocations import TokenUse
from happy.domain.values import AccountId, Millis
from happy.limits import limit

INTERVAL_SECONDS = 600.0
FLUSH_SECONDS = 5.0
USES_AT_ONCE = 100
MAX_KNOWN = limit(
    50_000, "tokens whose last use is remembered", per="replica", then="uses are written more often"
)
MAX_PENDING = limit(
    10_000, "uses of tokens that wait to be written", per="replica", then="further ones are left out"
)
MAX_USES = limit(200, "tokens shown by `tokens list`", per="account", then="those seen longest ago go")
MAX_DEVICE = limit(100, "characters of a device in `tokens list`", per="token", then="the rest is cut off")

log = logging.getLogger(__name__)


class TokenUses:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._next: dict[str, float] = {}
        self._unnamed: set[str] = set()
        self._pending: dict[str, TokenUse] = {}

    def is_due(self, claims: Claims, *, named: bool) -> bool:
        """Whether to note a use now; `named`: its client says what it is, which an earlier one may not."""
        if time.monotonic() >= self._next.get(claims.token_id, 0.0):
            return True
        return named and claims.token_id in self._unnamed

    def note(self, claims: Claims, name: str, agent: str, address: str) -> None:
        """Remember a use. `name` is what the client calls itself; without one its user agent counts."""
        if len(self._next) >= MAX_KNOWN:
            self._next.clear()
            self._unnamed.clear()
        token_id, now = claims.token_id, self._clock()
        self._next[token_id] = time.monotonic() + INTERVAL_SECONDS
        if name:
            self._unnamed.discard(token_id)
        else:
            self._unnamed.add(token_id)
        if len(self._pending) >= MAX_PENDING and token_id not in self._pending:
            return
        self._pending[token_id] = TokenUse(
            id=token_id,
            account_id=AccountId(claims.account_id),
            issued_at=None if claims.issued_at is None else Millis(int(claims.issued_at * 1000)),
            device=_device(name, agent),
            address=address,
            first_seen_at=now,
            last_seen_at=now,
        )

    async def flush(self) -> None:
        """Write what was noted. When the database does not answer, it is tried again."""
        while self._pending:
            some = list(self._pending.values())[:USES_AT_ONCE]
            for use in some:
                del self._pending[use.id]
            try:
                await self._write(some)
            except Unavailable:
                self._pending = {use.id: use for use in some} | self._pending
                log.debug("uses of tokens cannot be written now")
                return

    async def _write(self, uses: list[TokenUse]) -> None:
        await self._store.write(lambda tx: _save(tx, uses))


async def _save(tx: Transaction, uses: list[TokenUse]) -> None:
    await tx.token_uses.save(uses)
    for account_id in dict.fromkeys(use.account_id for use in uses):
        await tx.token_uses.trim(account_id, MAX_USES)


def _device(name: str, agent: str) -> str:
    """A user agent stands in parentheses: it is often that of a library, and gives way to a name."""
    text = name or (f"({agent})" if agent else "")
    return text.replace("\0", "\ufffd")[:MAX_DEVICE]
