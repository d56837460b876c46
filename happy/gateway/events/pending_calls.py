"""Bounds of the RPC calls that wait, of each account and of all."""

from collections import defaultdict

from happy.domain.values import AccountId
from happy.limits import limit

MAX_CALLS = limit(
    2_000, "RPC calls of a connection that wait for their response", per="connection", then="`Too many calls`"
)
MAX_ACCOUNT_CALLS = limit(
    5_000, "RPC calls that wait for their response", per="account and replica", then="`Too many calls`"
)
"""Clients make one call at a time."""

MAX_ACCOUNT_BYTES = limit(
    20_000_000,
    "bytes of RPC calls to methods that no connection of this replica serves",
    per="account and replica",
    then="`Too many calls`",
)
"""The `params` of such calls are kept until somebody serves the method, or the grace period is over."""

MAX_ALL_BYTES = limit(
    64_000_000,
    "bytes of RPC calls of all accounts to methods that no connection of this replica serves",
    per="replica",
    then="`Too many calls`, for accounts with more than 1 MB of them",
)
SMALL_BYTES = 1_000_000
"""What an account may have waiting whatever others have: its daemon returns within seconds."""


class PendingCalls:
    """Numbers and bytes of calls that have begun and not ended; those of closed connections count on."""

    def __init__(self) -> None:
        self._calls: defaultdict[AccountId, int] = defaultdict(int)
        self._bytes: defaultdict[AccountId, int] = defaultdict(int)
        self._all_bytes = 0

    def begin(self, account_id: AccountId) -> bool:
        """Count a call, if there may be one more; `end` must follow."""
        if self._calls[account_id] >= MAX_ACCOUNT_CALLS:
            return False
        self._calls[account_id] += 1
        return True

    def end(self, account_id: AccountId) -> None:
        self._calls[account_id] -= 1
        if not self._calls[account_id]:
            del self._calls[account_id]

    def keep(self, account_id: AccountId, size: int) -> bool:
        """Count what a call keeps, in bytes, if there may be so much; `drop` must follow."""
        kept = self._bytes[account_id] + size
        crowded = self._all_bytes + size > MAX_ALL_BYTES and kept > SMALL_BYTES
        if kept > MAX_ACCOUNT_BYTES or crowded:
            self._change(account_id, 0)
            return False
        self._change(account_id, size)
        return True

    def drop(self, account_id: AccountId, size: int) -> None:
        self._change(account_id, -size)

    def _change(self, account_id: AccountId, size: int) -> None:
        self._all_bytes += size
        self._bytes[account_id] += size
        if not self._bytes[account_id]:
            del self._bytes[account_id]
