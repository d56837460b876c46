"""Decides which connections are closed when there are too many: the worst, not the newest.

With 1,000 connections of one address allowed, the 1,001st closes the oldest of its address that never
completed anything, else the oldest idle one. When all entries are taken, the address that has the most of the
worst ones loses them, so that a stranger with many connections makes room for everybody else.
"""

from __future__ import annotations

import time
from collections import Counter
from enum import IntEnum
from typing import TYPE_CHECKING

from happy.limits import limit
from happy.services.refusals import RefusalKind, Refusals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_CONNECTIONS = limit(
    16_384,
    "connections, and three quarters of the files that may be open",
    per="replica",
    then="the worst are closed: those without a request or a sign-in, of the address that has most of them",
    setting="HAPPY_MAX_CONNECTIONS",
)

MAX_CONNECTIONS_PER_ADDRESS = limit(
    1_000,
    "connections",
    per="IPv4 address or IPv6 /64",
    then="the worst of the address are closed: those without a request or a sign-in, then idle ones",
    setting="HAPPY_MAX_CONNECTIONS_PER_ADDRESS",
)
"""A company behind one address has hundreds. Trusted proxies and this machine have no such limit."""

BATCH = 32
"""One of so many connections is closed at once when there are too many: looking for the worst takes time."""


class Standing(IntEnum):
    """What a connection has shown; those of the lowest standing are closed first."""

    STRANGER = 0  # no complete request; a socket that is not signed in
    IDLE = 1  # an HTTP connection between requests: clients make another one when they need it
    REQUEST = 2  # an HTTP request is being handled
    MEMBER = 3  # a socket that is signed in


class TableEntry:
    """One connection in the table. `standing` is to be kept up to date by its owner."""

    __slots__ = ("_close", "_table", "address", "since", "standing")

    def __init__(self, table: ConnectionTable, address: str, close: Callable[[], None], since: float) -> None:
        self.address = address
        self.standing = Standing.STRANGER
        self.since = since
        self._table = table
        self._close: Callable[[], None] | None = close

    def remove(self) -> None:
        """The connection is closed."""
        if self._close is not None:
            self._close = None  # it leads back to the connection: a circle for the garbage collector
            self._table.remove(self)

    def close(self) -> None:
        """Close the connection."""
        close = self._close
        self.remove()
        if close is not None:
            close()


class ConnectionTable:
    """All connections of this replica: TCP connections of HTTP, and realtime connections."""

    def __init__(
        self,
        refusals: Refusals | None = None,
        most: int = MAX_CONNECTIONS,
        most_per_address: int | None = None,
    ) -> None:
        self.refusals = refusals or Refusals()
        self._most = most
        self._most_per_address = most_per_address or MAX_CONNECTIONS_PER_ADDRESS
        self._entries: dict[TableEntry, None] = {}
        self._by_address: dict[str, dict[TableEntry, None]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def admit(self, address: str, close: Callable[[], None]) -> TableEntry:
        """Take a new connection in, and close others if there are too many.

        `address` is what connections are counted by; those of the empty one only count in all.
        """
        entry = TableEntry(self, address, close, time.monotonic())
        self._entries[entry] = None
        if address:
            others = self._by_address.setdefault(address, {})
            others[entry] = None
            if len(others) > self._most_per_address:
                self._close_worst(others, entry, RefusalKind.CONNECTIONS_OF_ADDRESS)
        if len(self._entries) > self._most:
            self._close_worst(self._entries, entry, RefusalKind.CONNECTIONS)
        return entry

    def remove(self, entry: TableEntry) -> None:
        """To be called by the entry alone."""
        self._entries.pop(entry, None)
        if (others := self._by_address.get(entry.address)) is not None:
            others.pop(entry, None)
            if not others:
                del self._by_address[entry.address]

    def _close_worst(self, entries: dict[TableEntry, None], newest: TableEntry, kind: RefusalKind) -> None:
        """Members are closed one by one, others in batches."""
        worst = _worst(entry for entry in entries if entry is not newest)
        count = 1 if worst and worst[0].standing is Standing.MEMBER else max(1, len(entries) // BATCH)
        for entry in worst[:count]:
            self.refusals(kind, entry.address)
            entry.close()


def _worst(entries: Iterable[TableEntry]) -> list[TableEntry]:
    """Those of the lowest standing: of the address that has most of them first, and of it the oldest."""
    by_standing: dict[Standing, list[TableEntry]] = {}
    for entry in entries:
        by_standing.setdefault(entry.standing, []).append(entry)
    lowest = by_standing[min(by_standing)] if by_standing else []
    counts = Counter(entry.address for entry in lowest)
    counts[""] = 1  # of many clients
    return sorted(lowest, key=lambda entry: (-counts[entry.address], entry.since))
