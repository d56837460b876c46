"""Connections of this replica that serve RPC methods."""

from typing import Protocol

import msgspec

from happy.domain.values import AccountId, ConnectionId

Response = msgspec.Raw | Exception | None
"""The response to an RPC request, None if it was empty; or why there is none (timeout, closed)."""


class OnResponse(Protocol):
    """Called once per request, never before `request` has returned; must not block or raise."""

    def __call__(self, response: Response, /) -> None: ...


class LocalConnection(Protocol):
    """A connection of this replica that serves RPC methods."""

    def request(self, method: str, params: msgspec.Raw | None, on_response: OnResponse) -> int:
        """Send a request and return at once, with a number for `cancel_request`.

        `on_response` gets an exception if the connection is closed, or closes before it has responded.
        """
        ...

    def cancel_request(self, number: int) -> None:
        """The response is not needed any more: `on_response` is not called."""
        ...


class LocalConnections(Protocol):
    """The connections of this replica that serve RPC methods."""

    def serving(self, account_id: AccountId, method: str, *, besides: ConnectionId) -> LocalConnection | None:
        """The best connection that registered `method`: machine scope before others, then the newest."""
        ...

    def serves(
        self, account_id: AccountId, method: str, connection_id: ConnectionId
    ) -> LocalConnection | None:
        """This very connection, if it registered `method`."""
        ...
