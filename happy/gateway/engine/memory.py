"""Bounds what all connections together hold: packets that wait to be sent, and incomplete messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from happy.limits import limit

if TYPE_CHECKING:
    from happy.services.refusals import RefusalKind, Refusals

MAX_UNSENT = limit(
    50_000_000,
    "bytes of all connections that wait to be sent",
    per="replica",
    then="the connection with the most of them is closed: its client reads too slowly, and recovers",
)

MAX_INCOMPLETE = limit(
    50_000_000,
    "bytes of all incomplete messages of more than 64 KiB, and of packets without all of their attachments",
    per="replica",
    then="the connection whose message began first is closed",
)

SOME_BYTES = 65_536
"""Bytes of an incomplete message from which on it counts; all smaller ones are bounded by their number."""


class Holder(Protocol):
    """A connection that holds bytes."""

    def give_up(self) -> None:
        """Close; what is held is released."""


class SharedBytes:
    """What several connections hold, up to a bound; the first of them is the one that began first."""

    def __init__(self, most: int, kind: RefusalKind, refusals: Refusals) -> None:
        self._most = most
        self._kind = kind
        self._refusals = refusals
        self._held: dict[Holder, int] = {}
        self.total = 0

    def hold(self, holder: Holder, size: int) -> None:
        """The holder has so many bytes now; 0 if none."""
        self.total += size - self._held.get(holder, 0)
        if size:
            self._held[holder] = size
        else:
            self._held.pop(holder, None)

    def is_exceeded(self) -> bool:
        return self.total > self._most

    def hold_part(self, holder: Holder, size: int) -> None:
        """The holder has so many bytes of an incomplete message; makes room if there are too many."""
        self.hold(holder, size if size > SOME_BYTES else 0)
        if self.is_exceeded():
            self._close(next(iter(self._held)))

    def close_largest(self) -> None:
        """Close the one that holds most."""
        self._close(max(self._held, key=self._held.__getitem__))

    def _close(self, holder: Holder) -> None:
        self.hold(holder, 0)
        self._refusals(self._kind)
        holder.give_up()
