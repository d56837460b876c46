"""How far somebody has heard an account's events, in terms that every node understands."""

import re

from msgspec import Struct

from happy.domain.values import ReplicaId

LONGEST = 400
_TEXT = re.compile(r"([0-9a-f]+)\.([0-9a-f]{1,13})((?:\.[0-9a-f]+\.[0-9a-f]{1,13})*)")


class StreamPosition(Struct, frozen=True):
    """Everything up to a place in the common order, and what some nodes published up to a number.

    A node tells its own connections at once, before an event has a place; hence these. Places of one epoch
    say nothing in another.
    """

    epoch: str
    place: int
    known: dict[ReplicaId, int]

    def covers(self, replica_id: ReplicaId, number: int) -> bool:
        """Whether an event was heard by its number, whatever place it got."""
        return number <= self.known.get(replica_id, 0)

    def joined(self, other: "StreamPosition | None") -> "StreamPosition":
        """What two positions of one epoch cover together; of two epochs, only this one counts."""
        if other is None or other.epoch != self.epoch:
            return self
        known = dict(self.known)
        for replica_id, number in other.known.items():
            known[replica_id] = max(number, known.get(replica_id, 0))
        return StreamPosition(self.epoch, max(self.place, other.place), known)

    def text(self) -> str:
        known = "".join(f".{replica_id}.{number:x}" for replica_id, number in self.known.items())
        return f"{self.epoch}.{self.place:x}{known}"


def parse(text: str) -> StreamPosition | None:
    """A position from what a client sent back; None if no node wrote that."""
    match = _TEXT.fullmatch(text) if len(text) <= LONGEST else None
    if match is None:
        return None
    epoch, place, rest = match.groups()
    parts = rest.split(".")[1:]
    known = {
        ReplicaId(replica_id): int(number, 16)
        for replica_id, number in zip(parts[::2], parts[1::2], strict=True)
    }
    return StreamPosition(epoch, int(place, 16), known)
