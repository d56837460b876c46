"""The updates of the last minutes, kept in memory for clients that lost their connection."""

import secrets
import sys
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct

from happy.domain.events import Audience, Scope
from happy.domain.ports.pubsub import Origin
from happy.domain.positions import Position, parse
from happy.domain.values import AccountId, ConnectionId
from happy.gateway.engine import encode_event_at
from happy.gateway.replay import is_message

MOST_EVENTS = 2_048
"""Of one account: a replay must fit into the send queue of a connection."""

ENTRY_BYTES = 200
"""What an event costs besides its packet."""

LONGEST_NUMBER = 18
CLOCK_MS = 1_000
"""How well nodes know the time that they share, at the worst."""


class HistoryLimits(Struct, frozen=True, kw_only=True):
    """`keep_seconds` covers the time until a loss is noticed, too."""

    keep_seconds: float = 240.0
    account_bytes: int = 1_000_000
    total_bytes: int = 64_000_000


class Reader(NamedTuple):
    """Who missed something. It has all up to `position` for certain, and all sent before `confirmed`.

    It has read what was published before `since`; `heard` is what it heard elsewhere, or None. Messages are
    left out for one that reads them by itself.
    """

    account_id: AccountId
    connection_id: ConnectionId
    scope: Scope
    target: str
    position: int
    confirmed: float
    since: int = 0
    heard: Position | None = None
    reads_messages: bool = False


class Event(NamedTuple):
    """An event as it is sent and kept."""

    audience: Audience
    skip: ConnectionId | None
    name: str
    payload: bytes
    origin: Origin | None = None
    mark: str = ""
    """How far the account was heard with this event, for other nodes."""


class _Entry(NamedTuple):
    number: int
    at: float
    audience: Audience
    skip: ConnectionId | None
    origin: Origin | None
    packet: bytes
    size: int

    def is_for(self, reader: Reader) -> bool:
        return (
            self.number > reader.position
            and self.at >= reader.confirmed
            and self.skip != reader.connection_id
            and self.audience.includes(reader.scope, reader.target)
            and not (self.origin and is_known(self.origin, reader.since, reader.heard))
            and not (reader.reads_messages and is_message(self.packet))
        )


class _Account:
    """The events of one account, and up to where older ones are gone."""

    __slots__ = ("entries", "gone", "gone_at", "size")

    def __init__(self) -> None:
        self.entries: deque[_Entry] = deque()
        self.size = 0
        self.gone = 0
        self.gone_at = 0.0


class History:
    """What was sent to accounts. When the total is reached, the quietest account is dropped."""

    def __init__(self, limits: HistoryLimits, now: Callable[[], float] = time.monotonic) -> None:
        self.size = 0
        self._limits = limits
        self._now = now
        self._number = 0
        # Clients may come with an offset of another node, or of the time before a restart.
        self._tag = secrets.token_hex(4)
        self._accounts: dict[AccountId, _Account] = {}
        self._filled: OrderedDict[AccountId, _Account] = OrderedDict()  # the quietest first

    @property
    def position(self) -> int:
        """The number of the newest event."""
        return self._number

    def number(self, offset: str) -> int | None:
        """The number of an event, from what its packet says; None if this history did not write that."""
        tag, _, digits = offset.partition("-")[0].partition(".")
        fits = tag == self._tag and digits.isascii() and digits.isdecimal() and len(digits) <= LONGEST_NUMBER
        return int(digits) if fits else None

    def append(self, account_id: AccountId, event: Event) -> bytes:
        """Keep an event; the packet to be sent now, which names its offset."""
        self._number += 1
        shared = f"-{event.mark}" if event.mark else ""
        packet = encode_event_at(f"{self._tag}.{self._number}{shared}", event.name, event.payload)
        size = sys.getsizeof(packet) + ENTRY_BYTES
        account = self._accounts.get(account_id)
        if account is None:
            account = self._accounts[account_id] = _Account()
        now = self._now()
        entry = _Entry(self._number, now, event.audience, event.skip, event.origin, packet, size)
        account.entries.append(entry)
        account.size += size
        self.size += size
        self._filled[account_id] = account
        self._filled.move_to_end(account_id)
        self._trim(account_id, account, now)
        return packet

    def missed(self, reader: Reader) -> list[bytes] | None:
        """The packets for this reader in order, None if some of them may be gone."""
        account = self._accounts.get(reader.account_id)
        if account is None:
            return []
        if reader.position < account.gone and reader.confirmed <= account.gone_at:
            return None
        return [entry.packet for entry in account.entries if entry.is_for(reader)]

    def mark_before(self, account_id: AccountId, moment: float) -> str | None:
        """How far the account was heard before `moment`: empty if unknown, None for all up to now."""
        account = self._accounts.get(account_id)
        if account is None or (not account.entries and account.gone_at < moment):
            return None
        sent = (entry.packet for entry in reversed(account.entries) if entry.at < moment)
        return shared_part(offset_of(next(sent, b"")))

    def interrupt(self, account_id: AccountId) -> None:
        """Events of the account were lost before they came here: nobody can be given everything."""
        self._number += 1
        account = self._accounts.setdefault(account_id, _Account())
        self._drop_all(account_id, account)
        account.gone, account.gone_at = self._number, self._now()

    def forget(self, account_id: AccountId) -> None:
        """Nobody can ask for this account's events any more."""
        account = self._accounts.pop(account_id, None)
        if account is not None:
            self._drop_all(account_id, account)

    def _trim(self, account_id: AccountId, account: _Account, now: float) -> None:
        limits, oldest = self._limits, now - self._limits.keep_seconds
        while (
            account.size > limits.account_bytes
            or len(account.entries) > MOST_EVENTS
            or (account.entries and account.entries[0].at < oldest)
        ):
            self._drop_first(account)
        if not account.entries:
            self._filled.pop(account_id, None)
        while self._filled:
            quietest, other = next(iter(self._filled.items()))
            if self.size <= limits.total_bytes and other.entries[-1].at >= oldest:
                break
            self._drop_all(quietest, other)

    def _drop_first(self, account: _Account) -> None:
        entry = account.entries.popleft()
        account.size -= entry.size
        self.size -= entry.size
        account.gone, account.gone_at = entry.number, entry.at

    def _drop_all(self, account_id: AccountId, account: _Account) -> None:
        while account.entries:
            self._drop_first(account)
        self._filled.pop(account_id, None)


def is_known(origin: Origin, since: int, heard: Position | None) -> bool:
    """Whether somebody has read or heard an event that comes late, as it does when Redis was away."""
    return origin.at < since - CLOCK_MS or (heard is not None and heard.covers(origin.node_id, origin.number))


def offset_of(packet: bytes) -> str:
    """What a client sends back of a packet: its last argument."""
    return packet[:-2].rpartition(b'"')[2].decode()


def shared_part(offset: str) -> str:
    """What an offset says to all nodes."""
    return offset.partition("-")[2]


def heard_with(offset: str) -> Position | None:
    """How far a client that sends this offset has heard, if it says so to all nodes."""
    return parse(shared_part(offset))
