"""Stream positions: how far a client has received an account's events, comparable across replicas."""

import re

from msgspec import Struct

from happy.domain.values import ReplicaId
from happy.limits import limit

MAX_LENGTH = limit(
    400, "characters of a stream position of a client", per="handshake", then="not recovered: reads again"
)
_TEXT = re.compile(r"([0-9a-f]+)\.([0-9a-f]{1,13})((?:\.[0-9a-f]+\.[0-9a-f]{1,13})*)")


class StreamPosition(Struct, frozen=True):
    """Everything up to `offset` in the common order, and what some replicas published up to a number.

    A replica delivers an event to its own connections at once, before Redis has given the event an offset;
    `replica_offsets` covers those events. Offsets of different epochs are not comparable.

    `1f.a0.64f0.7` is epoch `1f`, offset 160, and number 7 of replica `64f0`.
    """

    epoch: str
    offset: int
    replica_offsets: dict[ReplicaId, int]

    def covers(self, replica_id: ReplicaId, number: int) -> bool:
        """Whether an event was received by its publisher's number, whatever its offset is."""
        return number <= self.replica_offsets.get(replica_id, 0)

    def joined(self, other: "StreamPosition | None") -> "StreamPosition":
        """What two positions of one epoch cover together; of two epochs, only this one counts."""
        if other is None or other.epoch != self.epoch:
            return self
        merged = dict(self.replica_offsets)
        for replica_id, number in other.replica_offsets.items():
            merged[replica_id] = max(number, merged.get(replica_id, 0))
        return StreamPosition(self.epoch, max(self.offset, other.offset), merged)

    def text(self) -> str:
        replicas = "".join(f".{replica_id}.{number:x}" for replica_id, number in self.replica_offsets.items())
        return f"{self.epoch}.{self.offset:x}{replicas}"


def parse(text: str) -> StreamPosition | None:
    """The position in a text that a client sent back; None if no replica wrote that text."""
    match = _TEXT.fullmatch(text) if len(text) <= MAX_LENGTH else None
    if match is None:
        return None
    epoch, offset, rest = match.groups()
    parts = rest.split(".")[1:]
    replica_offsets = {
        ReplicaId(replica_id): int(number, 16)
        for replica_id, number in zip(parts[::2], parts[1::2], strict=True)
    }
    return StreamPosition(epoch, int(offset, 16), replica_offsets)
