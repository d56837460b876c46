"""Connections of this replica that serve RPC methods."""

from typing import Protocol

import msgspec

from happy.domain.values import AccountId, ConnectionId


class OnResponse(Protocol):
    """Called once, never before `ask` has returned, with what a connection answered; it must not block.

    None is an empty answer, an exception none at all: the connection has closed.
    """

    def __call__(self, reply: msgspec.Raw | Exception | None) -> None: ...


class LocalConnection(Protocol):
    """A connection of this node that serves remote procedure calls."""

    def ask(self, method: str, params: msgspec.Raw | None, on_response: OnResponse) -> int:
        """Ask and return at once, with a number for `forget`. Who has closed replies with an exception."""
        ...

    def forget(self, number: int) -> None:
        """Nobody waits for this reply any more: `on_response` is not called."""
        ...


class LocalConnections(Protocol):
    """The connections of this node that serve remote procedure calls."""

    def serving(self, account_id: AccountId, method: str, *, besides: ConnectionId) -> LocalConnection | None:
        """The best connection that registered `method`: machine scope before others, then the newest."""
        ...

    def serves(
        self, account_id: AccountId, method: str, connection_id: ConnectionId
    ) -> LocalConnection | None:
        """This very connection, if it registered `method`."""
        ...
