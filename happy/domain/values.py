"""Identifiers and the versioned values that clients compare-and-set."""

from typing import Generic, NewType, TypeVar

from msgspec import Struct

AccountId = NewType("AccountId", str)
SessionId = NewType("SessionId", str)
MachineId = NewType("MachineId", str)
MessageId = NewType("MessageId", str)
ArtifactId = NewType("ArtifactId", str)
ReplicaId = NewType("ReplicaId", str)
ConnectionId = NewType("ConnectionId", str)

Millis = NewType("Millis", int)
"""Unix time in milliseconds, the only time format in the core, the store and the API."""

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

FUTURE_AFTER = 1 * HOUR
"""A stored time further ahead, in ms, dates from before the clock was set back: replicas differ less."""

T = TypeVar("T")


class Versioned(Struct, Generic[T], frozen=True):
    """A value and the version a writer must name to replace it."""

    value: T
    version: int


class Swap(Struct, Generic[T], frozen=True):
    """Outcome of a compare-and-set: what is stored now, and whether this write did it."""

    won: bool
    current: Versioned[T]
