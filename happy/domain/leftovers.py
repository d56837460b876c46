"""What is left over and can be removed, as the operator of the server sees it."""

from msgspec import Struct

from happy.domain.values import Millis


class Deadlines(Struct, frozen=True):
    """What is older than these times has expired."""

    now: Millis
    unanswered: Millis
    answered: Millis
    waiting: Millis
    decided: Millis
    invites: Millis
    audit: Millis


class Expired(Struct, frozen=True):
    """How many rows have expired, and how many deletions are not finished."""

    linking: int
    registration: int
    audit: int
    deletions: int


class InactiveSessions(Struct, frozen=True):
    """Sessions that were not used for long; bytes are counted since quotas are set."""

    sessions: int
    messages: int
    bytes: int


class Leftover(Struct, frozen=True, rename="camel"):
    """One kind of what can be removed. `bytes` is None where they are not known."""

    kind: str
    count: int
    bytes: int | None = None
    messages: int | None = None
