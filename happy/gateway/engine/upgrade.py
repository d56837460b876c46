"""The way of a session from polling to the websocket."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from happy.gateway.engine.packets import PING, PONG, PROBE, UPGRADE

if TYPE_CHECKING:
    from happy.gateway.engine.connection import Connection
    from happy.gateway.engine.polling import PollingTransport
    from happy.gateway.engine.transport import LinkedTransport


class Probe:
    """Receives the packets of a websocket that a polling client tries, until it switches over to it.

    The session stays on polling if anything else than the two packets of the protocol arrives.
    """

    __slots__ = ("_answered", "_connection", "_polling", "_timer", "_transport", "broken")

    def __init__(
        self, connection: Connection, polling: PollingTransport, transport: LinkedTransport, timeout: float
    ) -> None:
        self.broken = False
        self._connection = connection
        self._polling = polling
        self._transport = transport
        self._answered = False
        self._timer = asyncio.get_running_loop().call_later(timeout, self._give_up)

    def receive(self, packet: str | bytes) -> None:
        """Answer the probe, then take the upgrade."""
        if not self._answered and packet == PING + PROBE:
            self._answered = True
            self._transport.write(PONG + PROBE)
            self._polling.probed(active=True)
        elif self._answered and packet == UPGRADE and not (self._connection.closed or self._polling.busy):
            self._stop()
            self._transport.attach(self._connection)
            self._connection.upgrade(self._transport)
        else:
            self._give_up()

    def lost(self) -> None:
        """The websocket closed, or the session did."""
        self._stop()

    def _give_up(self) -> None:
        self._stop()
        self.broken = True
        self._transport.close()

    def _stop(self) -> None:
        self._timer.cancel()
        if self._connection.probe is self._transport:
            self._connection.probe = None
            self._polling.probed(active=False)
