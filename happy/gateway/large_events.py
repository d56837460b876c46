"""Turns for large events: each costs time and copies, so few are handled at once, and others in between.

protocol: realtime#ordering-guarantees
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable

from happy.domain.values import AccountId
from happy.gateway.hub import Connection
from happy.limits import limit
from happy.telemetry import LimitedLog

LARGE_BYTES = 1_000_000
"""From this size on events take turns."""

MAX_HANDLED_BYTES = limit(
    16_000_000,
    "bytes of large events (1 MB and more) that are handled at once, or one event",
    per="replica",
    then="the others wait in turn",
)
MAX_ACCOUNT_BYTES = limit(
    48_000_000,
    "bytes of large events that wait for their turn, while others of the account do",
    per="account and replica",
    then="the connection is closed; its client sends again what was not acknowledged",
)
MAX_ALL_BYTES = limit(
    96_000_000,
    "bytes of large events of all accounts that wait for their turn",
    per="replica",
    then="the connection is closed, if others of its account wait",
)

_log_closed = LimitedLog(logging.getLogger(__name__), "a connection was closed: too many large events wait")


class LargeEvents:
    def __init__(self) -> None:
        self._handled = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._held: Counter[AccountId] = Counter()
        self._held_by_all = 0

    async def handle(
        self, connection: Connection, size: int, begin: Callable[[], Awaitable[None] | None]
    ) -> None:
        """Call `begin` when it is the event's turn; the turn ends when the event was handled and stored."""
        account_id = connection.account_id
        if self._is_too_much(account_id, size):
            _log_closed(f"account {account_id}")
            connection.socket.close()
            return
        self._hold(account_id, size)
        try:
            await self._turn(size)
            try:
                await self._finish(connection, begin)
            finally:
                self._end(size)
        finally:
            self._hold(account_id, -size)

    async def _finish(self, connection: Connection, begin: Callable[[], Awaitable[None] | None]) -> None:
        work = begin()
        if work is not None:
            await work
        if connection.busy:
            await connection.in_flight.ended()

    def _is_too_much(self, account_id: AccountId, size: int) -> bool:
        held = self._held[account_id]
        return held > 0 and (held + size > MAX_ACCOUNT_BYTES or self._held_by_all + size > MAX_ALL_BYTES)

    def _hold(self, account_id: AccountId, size: int) -> None:
        self._held_by_all += size
        self._held[account_id] += size
        if not self._held[account_id]:
            del self._held[account_id]

    async def _turn(self, size: int) -> None:
        """Wait for those before, and for the event loop to serve others."""
        if self._handled == 0 and not self._waiting:
            self._handled += size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():  # it had its turn already
                self._end(size)
            raise

    def _end(self, size: int) -> None:
        self._handled -= size
        self._next()

    def _next(self) -> None:
        while self._waiting:
            size, turn = self._waiting[0]
            if not turn.done():
                if self._handled and self._handled + size > MAX_HANDLED_BYTES:
                    return
                self._handled += size
                turn.set_result(None)
            self._waiting.popleft()
