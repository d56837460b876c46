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
        """Deliver `event` to every connection of `audience` on every replica. Returns at once."""
        ...

    def begin_commit(self, account_id: AccountId) -> None:
        """Events of the account are about to be committed; comes before every commit. Returns at once.

        Should this replica be killed before it publishes them, connections on other replicas resync. Where
        there are no other replicas, it may be called in any thread.
        """
        ...

    def end_commit(self, account_id: AccountId) -> None:
        """The announced events have been published, or never will be. Returns at once."""
        ...

    def in_doubt(self, account_id: AccountId) -> None:
        """Commit outcome unknown: clients resync now, and again once the database answers."""
        ...

    def resync(self, account_id: AccountId) -> None:
        """Close the connections of the account on all replicas: clients read again. Returns at once."""
        ...
