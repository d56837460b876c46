"""Keeps this replica subscribed to accounts with connections here, or lost ones that may be recovered."""

import asyncio

from happy.domain.values import AccountId
from happy.gateway.hub import Hub
from happy.limits import limit

LINGER_SECONDS = limit(
    30.0, "s that events are received for an account without a connection", per="account", then="not any more"
)
"""How long a replica remains subscribed to an account after its last connection here."""


class Subscriptions:
    """The timers of accounts that have no connection here any more."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._timers: dict[AccountId, asyncio.TimerHandle] = {}

    def keep(self, account_id: AccountId) -> None:
        """A client of the account is connecting."""
        timer = self._timers.pop(account_id, None)
        if timer is not None:
            timer.cancel()

    def end_if_quiet(self, account_id: AccountId) -> None:
        """A connection of the account has ended. One that reconnects soon causes no new subscription."""
        if not self._hub.has_connections(account_id):
            self._end_later(account_id)

    def _end_later(self, account_id: AccountId) -> None:
        self.keep(account_id)
        loop = asyncio.get_running_loop()
        self._timers[account_id] = loop.call_later(LINGER_SECONDS, self._end, account_id)

    def _end(self, account_id: AccountId) -> None:
        del self._timers[account_id]
        if self._hub.has_connections(account_id):
            return
        recovery = self._hub.recovery
        if recovery is not None and recovery.awaits(account_id):
            self._end_later(account_id)
            return
        self._hub.unsubscribe(account_id)
        if recovery is not None:
            recovery.forget(account_id)

    def close(self) -> None:
        """Cancel the timers."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
