"""Why an event did not reach a connection, or a recovery was refused: counted, and logged at debug level."""

import logging
from dataclasses import dataclass
from enum import StrEnum, auto

from happy.domain.values import AccountId, ConnectionId, ReplicaId
from happy.metrics import Metrics

log = logging.getLogger(__name__)


class NotDelivered(StrEnum):
    """The reasons; the values are labels of `realtime_not_delivered_total` and parts of log lines."""

    NO_CONNECTION = auto()
    """The account has no connection on this replica. Counted per event, on each replica that has it."""

    NOT_IN_AUDIENCE = auto()
    """No connection here is in the audience. Counted per event without any receiver here."""

    SENDER = auto()
    """The connection sent the event itself."""

    ALREADY_DELIVERED = auto()
    """By the replica it was connected to before, or read over HTTP before it connected."""

    ANNOUNCED_TWICE = auto()
    """The message was given to the client from the store, and its event comes after that."""

    CLOSING = auto()
    """The connection is being closed. The event is kept for a replay, if the client can be recovered."""

    QUEUE_OVERFLOW = auto()
    """The client read too slowly and was disconnected. Counted per connection."""

    RESYNC = auto()
    """Events were lost on their way to this replica, so the client was disconnected to read again."""

    READS_MESSAGES = auto()
    """A replay left out messages, for the client reads them over HTTP. Counted per replay."""

    UNKNOWN_TOKEN = auto()
    """The recovery token was not issued here or by this account's cluster, or was dropped since."""

    OTHER_ACCOUNT = auto()
    OTHER_TARGET = auto()
    """Scope or target of the handshake differ from those of the lost session."""

    GOODBYE = auto()
    """The client disconnected by itself, and is not to be recovered."""

    WINDOW_OVER = auto()
    """The client was away for more than `HAPPY_RECOVERY_SECONDS`."""

    TAKEOVER_TIMEOUT = auto()
    """The former connection of the client did not end in time."""

    TOO_MANY_LOST = auto()
    """The lost session was dropped, for more were lost than are kept. Counted when that happens."""

    HISTORY_GAP = auto()
    """Some of the missed events may be gone: too many, too large, too old, or lost on their way."""

    POSITION_UNKNOWN = auto()
    """How far the client has received cannot be compared: Redis was emptied, or its offset is foreign."""

    REDIS_UNAVAILABLE = auto()
    """The history that replicas share could not be read."""


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
    """Counts and logs what one replica did not deliver. Costs nothing where everything is delivered."""

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
        self.metrics.not_delivered.add(reason.value)  # hashes faster than the enum
        if self.verbose:
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
        """One info line for a client that asked to be recovered."""
        fields = {"account": account_id, "connection": connection_id, "replica": self.replica_id}
        result = reconnect.refused or "recovered"
        outcome = {"client": reconnect.client, "left": reconnect.left or "unknown", "result": result}
        fields |= {**outcome, "replayed": str(reconnect.replayed)}
        log.info("client reconnected", extra=fields)
