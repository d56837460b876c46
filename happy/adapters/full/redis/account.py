"""What a replica has received of one account, and the header of every message on the bus."""

import struct

from happy.domain.ports.cluster import CLOCK_MS

HEADER = struct.Struct("!16sQqB")
"""The publishing replica, its number, the time in ms (0: none), and the kind."""

ENVELOPE, REPEATED, RESYNC = range(3)
"""Kinds: an envelope; one that is published again because Redis may have lost it; a resync."""


class Subscription:
    """An account with connections here: the offset received last, and the last number of each replica.

    `held_back` collects what arrives before the offset at the start of the subscription is known.
    """

    __slots__ = ("held_back", "numbers", "offset", "since")

    def __init__(self, since: int) -> None:
        self.offset: int | None = None
        self.numbers: dict[bytes, int] = {}
        self.since = since
        self.held_back: list[bytes] | None = []

    def precedes(self, message: bytes) -> bool:
        """Whether it was published before the subscription, judged by the time in its header."""
        sender, _, at, _ = HEADER.unpack_from(message)
        return sender not in self.numbers and self.is_older(at)

    def is_older(self, at: int) -> bool:
        """Whether it was published before the subscription, though clocks differ; if unsure, no."""
        return at < self.since - CLOCK_MS
