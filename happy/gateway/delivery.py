"""Counts and logs which events did not reach a connection, which recoveries were refused, and reconnects."""

import logging
from dataclasses import dataclass

from happy.domain.ports.delivery import NotDelivered
from happy.domain.values import AccountId, ConnectionId, ReplicaId
from happy.metrics import Metrics

log = logging.getLogger(__name__)


class RecoveryRefused(Exception):
    """The client is not recovered. `left` is the replica it was connected to, empty if that is unknown."""

    def __init__(self, reason: NotDelivered, left: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.left = left


@dataclass(slots=True)
class Reconnect:
    """How a client came back: the replica it left (empty if unknown), and how many packets were replayed."""

    client: str
    left: str = ""
    refused: NotDelivered | None = None
    replayed: int = 0


class DeliveryReport:
    """Implements `DropReport` for one replica. Costs nothing where everything is delivered."""

    def __init__(self, metrics: Metrics | None = None, replica_id: ReplicaId | None = None) -> None:
        self.metrics = metrics or Metrics()
        self.replica_id = replica_id or ReplicaId("")

    @property
    def verbose(self) -> bool:
        """Whether debug lines are written, and so worth preparing."""
        return log.isEnabledFor(logging.DEBUG)

    def add(
        self, reason: NotDelivered, account_id: AccountId, connection_id: ConnectionId | None, what: str
    ) -> None:
        """Count `reason` once; `what` was not delivered, such as `update`."""
        self.metrics.not_delivered.add(reason._value_)  # hashes faster than the enum
        if log.isEnabledFor(logging.DEBUG):
            self.explain(reason, account_id, connection_id, what)

    def explain(
        self, reason: NotDelivered, account_id: AccountId, connection_id: ConnectionId | None, what: str
    ) -> None:
        """Log without counting; only worth calling where `verbose`."""
        fields = {"reason": reason.value, "account": account_id, "replica": self.replica_id}
        if connection_id is not None:
            fields["connection"] = connection_id
        log.debug("%s not delivered", what, extra=fields)

    def reconnected(self, account_id: AccountId, connection_id: ConnectionId, reconnect: Reconnect) -> None:
        """One info line for a client that wants to be recovered."""
        fields = {"account": account_id, "connection": connection_id, "replica": self.replica_id}
        result = reconnect.refused or "recovered"
        outcome = {"client": reconnect.client, "left": reconnect.left or "unknown", "result": result}
        fields |= {**outcome, "replayed": str(reconnect.replayed)}
        log.info("client reconnected", extra=fields)
