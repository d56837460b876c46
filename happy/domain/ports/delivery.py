"""Why an event did not reach a connection, or a recovery was refused: counted, and logged at debug level."""

from enum import StrEnum, auto
from typing import Protocol

from happy.domain.values import AccountId, ConnectionId


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

    CATCHING_UP = auto()
    """Older messages are being read from the store for the client; this one is sent after them."""

    CLOSING = auto()
    """The connection is being closed. The event is kept for a replay, if the client can be recovered."""

    OUTAGE_OVERFLOW = auto()
    """Redis was away for so long that the envelope could not be queued any more: the account resyncs."""

    NOT_SUBSCRIBED = auto()
    """The envelope arrived from Redis just after the account's last connection here had ended."""

    DUPLICATE = auto()
    """The envelope arrived a second time: it was read from the history in Redis too, or was repeated."""

    BEFORE_SUBSCRIPTION = auto()
    """The envelope was repeated after an outage, and is older than all connections of the account here."""

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
    """Some of the missed events may be gone: too many, too large, too old, or lost on their way.

    Of a client, which is not recovered; or of this replica after an outage of Redis: the account resyncs.
    """

    POSITION_UNKNOWN = auto()
    """How far the client has received cannot be compared: Redis was emptied, or its offset is foreign."""

    REDIS_UNAVAILABLE = auto()
    """The history that replicas share could not be read."""


class DropReport(Protocol):
    """Counts and logs what is not delivered, where that is decided: in the gateway and on the bus."""

    def add(
        self, reason: NotDelivered, account_id: AccountId, connection_id: ConnectionId | None, what: str
    ) -> None:
        """Count `reason` once; `what` was not delivered, such as `update` or `envelope`."""
        ...
