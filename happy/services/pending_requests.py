"""Pending RPC requests to connections of this replica; each ends by a response or by a timeout."""

import asyncio
import time

import msgspec
from msgspec import Struct

from happy.domain.ports.rpc import LocalConnection, OnResponse, Response


class PendingRequests:
    """All have the same timeout, so they expire in the order they were sent: one timer does for all of them.

    A request costs neither a task nor a timer of its own.
    """

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._open: dict[PendingRequest, float] = {}  # with their deadlines, the earliest first
        self._timer: asyncio.TimerHandle | None = None

    def send(
        self, target: LocalConnection, method: str, params: msgspec.Raw | None, on_response: OnResponse
    ) -> None:
        """Returns at once. `on_response` is called once, later; after the timeout with a `TimeoutError`."""
        request = PendingRequest(self._open, on_response, target)
        request.number = target.request(method, params, request.respond)
        self._open[request] = time.monotonic() + self._timeout_seconds
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._timeout_seconds, self._expire)

    def _expire(self) -> None:
        """End the requests whose deadline has passed, and set the timer for the next."""
        self._timer = None
        now = time.monotonic()
        for request, deadline in list(self._open.items()):
            if deadline > now:
                self._timer = asyncio.get_running_loop().call_later(deadline - now, self._expire)
                break
            request.expire()

    def close(self) -> None:
        """Cancel all: no `on_response` is called any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for request in self._open:
            request.cancel()
        self._open.clear()


class PendingRequest(Struct, eq=False):
    """A request without a response yet; takes itself out of `among` when it ends."""

    among: "dict[PendingRequest, float]"
    on_response: OnResponse
    target: LocalConnection
    number: int = 0

    def respond(self, response: Response) -> None:
        """The target has responded, or has closed."""
        del self.among[self]
        self.on_response(response)

    def expire(self) -> None:
        """The timeout is over: a response that still arrives is ignored."""
        self.cancel()
        del self.among[self]
        self.on_response(TimeoutError())

    def cancel(self) -> None:
        self.target.cancel_request(self.number)
