"""The upgrade of a connection from polling to a websocket."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from happy.gateway.engine.packets import PING, PROBE, PROBE_PONG, UPGRADE

if TYPE_CHECKING:
    from collections.abc import Callable

    from happy.gateway.engine.polling import PollingTransport
    from happy.gateway.engine.transport import LinkedTransport, TransportOwner

POLL_SECONDS = 0.3
"""How long the probe response is delayed until a poll of the client waits."""

PROBE_PONG_SECONDS = 1.0
"""How long the poll is held until the probe response has reached the client."""


class Probe:
    """Receives the packets of a websocket until a polling client has switched over to it.

    The connection remains on polling if any packet but the two of the protocol arrives.

    The official client switches over when its probe and then its last poll are answered. If the websocket
    breaks between the two and the poll does not, it neither switches nor polls until its timeout of a minute.
    So the probe is answered while a poll waits, which breaks together with the websocket; and that poll is
    answered with a noop once the probe response has reached the client.
    """

    __slots__ = (
        "_answered",
        "_connection",
        "_polling",
        "_probed",
        "_timer",
        "_transport",
        "_wait_timer",
        "broken",
    )

    def __init__(
        self,
        connection: TransportOwner,
        polling: PollingTransport,
        transport: LinkedTransport,
        timeout: float,
    ) -> None:
        self.broken = False
        self._connection = connection
        self._polling = polling
        self._transport = transport
        self._probed = False
        self._answered = False
        self._timer = asyncio.get_running_loop().call_later(timeout, self._give_up)
        self._wait_timer: asyncio.TimerHandle | None = None

    def receive(self, packet: str | bytes | bytearray) -> None:
        """Answer the probe, then take the upgrade."""
        if not self._probed and packet == PING + PROBE:
            self._probed = True
            self._wait(POLL_SECONDS, self._answer)
            self._polling.hold_polls(self._answer)
        elif self._probed and packet == UPGRADE and not (self._connection.closed or self._polling.busy):
            self._answer()
            self._stop()
            self._transport.attach(self._connection)
            self._connection.upgrade(self._transport)
        else:
            self._give_up()

    def _answer(self) -> None:
        if not self._answered:
            self._answered = True
            self._transport.write(PROBE_PONG)
            self._wait(PROBE_PONG_SECONDS, self._pong_received)
            self._transport.call_when_received(self._pong_received)

    def _pong_received(self) -> None:
        if self._wait_timer is not None:
            self._stop_waiting()
            self._polling.release_poll()

    def lost(self) -> None:
        """The websocket or the connection closed."""
        self._stop()

    def _give_up(self) -> None:
        self._stop()
        self.broken = True
        self._transport.close()

    def _stop(self) -> None:
        self._timer.cancel()
        self._stop_waiting()
        if self._connection.probe is self._transport:
            self._connection.probe = None
            self._polling.end_upgrade()

    def _wait(self, seconds: float, call: Callable[[], None]) -> None:
        self._stop_waiting()
        self._wait_timer = asyncio.get_running_loop().call_later(seconds, call)

    def _stop_waiting(self) -> None:
        if self._wait_timer is not None:
            self._wait_timer.cancel()
            self._wait_timer = None
