"""Where services publish committed events."""

from typing import Protocol

from happy.domain.events import Audience, Ephemeral, Update
from happy.domain.values import AccountId, ConnectionId


class EventSink(Protocol):
    """Where committed events go. The gateway implements it; services only know this."""

    def publish(
        self,
        account_id: AccountId,
        event: Update | Ephemeral,
        audience: Audience,
        *,
        skip: ConnectionId | None = None,
    ) -> None:
        """Deliver `event` to every connection of `audience` on every node. Returns at once."""
        ...

    def begin_commit(self, account_id: AccountId) -> None:
        """Events of the account are about to be committed; comes before every commit. Returns at once.

        Should this node be killed before it publishes them, connections on other nodes start over. Where
        there are no other nodes, it may be called in any thread.
        """
        ...

    def end_commit(self, account_id: AccountId) -> None:
        """What was expected has been published, or will never be. Returns at once."""
        ...

    def in_doubt(self, account_id: AccountId) -> None:
        """Nobody knows whether events were committed, or will be: connections start over, now and later."""
        ...

    def resync(self, account_id: AccountId) -> None:
        """Connections of the account are closed on all nodes: clients read again. Returns at once."""
        ...
