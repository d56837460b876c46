"""Requests of many connections take turns by address: those of one make no other wait for all of them."""

import asyncio
from collections.abc import Awaitable, Callable

from happy.http.framework.asgi import Receive, Scope, Send
from happy.http.framework.origin import client
from happy.limits import limit
from happy.services.client_addresses import ClientAddresses
from happy.services.fair_queue import FairQueue

App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_AT_ONCE = limit(
    16,
    "requests that begin in one iteration of the event loop",
    per="replica",
    then="they begin in the next ones, by turns of their addresses",
)
"""A request takes 0.3 ms: a thousand at once would keep everybody waiting for as many."""


class RequestTurns:
    """Of one process. While few requests arrive at once, none waits."""

    def __init__(self, most: int = MAX_AT_ONCE) -> None:
        self._most = most
        self._begun = 0  # in this iteration
        self._waiting = FairQueue[None]()
        self._is_planned = False

    async def turn(self, get_address: Callable[[], str]) -> None:
        """Wait for the turn of a request of this address."""
        self._plan()
        if self._begun < self._most and not self._waiting:
            self._begun += 1
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(get_address(), waiter)
        await waiter

    def _plan(self) -> None:
        if not self._is_planned:
            self._is_planned = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        """The next iteration begins."""
        self._is_planned = False
        self._begun = 0
        while self._begun < self._most and (waiter := self._waiting.pop()) is not None:
            waiter.set_result(None)
            self._begun += 1
        if self._begun:
            self._plan()


def in_turns(app: App, addresses: ClientAddresses) -> App:
    """The same application, which begins with a request when it is the turn of its client's address."""
    turns = RequestTurns()

    async def turned(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await turns.turn(lambda: client(scope, addresses).network)
        await app(scope, receive, send)

    return turned
