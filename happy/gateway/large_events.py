"""Bounds the bytes of large events that wait: for the rate limit of their account, and for their turn.

protocol: realtime#ordering-guarantees
"""

from collections import Counter
from collections.abc import Awaitable, Callable

from happy.domain.values import AccountId
from happy.gateway.account_limits import refused
from happy.gateway.hub import Connection
from happy.limits import limit
from happy.metrics import Metrics

MAX_ACCOUNT_BYTES = limit(
    48_000_000,
    "bytes of large events (256 KiB and more) that wait, while others of the account do",
    per="account and replica",
    then="the connection is closed; its client sends again what was not acknowledged",
)
MAX_ALL_BYTES = limit(
    96_000_000,
    "bytes of large events of all accounts that wait",
    per="replica",
    then="the connection is closed, if others of its account wait",
)


class LargeEvents:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._held: Counter[AccountId] = Counter()
        self._held_by_all = 0

    async def hold(
        self, connection: Connection, size: int, begin: Callable[[], Awaitable[None] | None]
    ) -> None:
        """Call `begin`, and await what it returns; the event is held as long as that takes."""
        account_id = connection.account_id
        if self._is_too_much(account_id, size):
            refused(self._metrics, "large_events", account_id)
            connection.socket.close()
            return
        self._hold(account_id, size)
        try:
            work = begin()
            if work is not None:
                await work
        finally:
            self._hold(account_id, -size)

    def _is_too_much(self, account_id: AccountId, size: int) -> bool:
        held = self._held[account_id]
        return held > 0 and (held + size > MAX_ACCOUNT_BYTES or self._held_by_all + size > MAX_ALL_BYTES)

    def _hold(self, account_id: AccountId, size: int) -> None:
        self._held_by_all += size
        self._held[account_id] += size
        if not self._held[account_id]:
            del self._held[account_id]
