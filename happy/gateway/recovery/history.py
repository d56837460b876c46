"""The events of the last minutes, kept in memory for clients that lost their connection."""

import secrets
import sys
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct

from happy.domain.events import Audience, Scope
from happy.domain.ports.cluster import CLOCK_MS, Origin
from happy.domain.stream_position import StreamPosition, parse
from happy.domain.values import AccountId, ConnectionId
from happy.gateway.engine import encode_event, encode_event_at
from happy.gateway.recovery.cursors import split_cursor
from happy.gateway.recovery.replay import State, is_message, state_of

MAX_EVENTS = 2_048
MAX_STATES = 1_024
"""Of one account: a replay of both must fit into the send queue of a connection."""

ENTRY_BYTES = 200
"""What an event costs besides its packet."""

MAX_NUMBER = 18
MARK_SECONDS = 5.0
"""How often the position is noted while nothing but states is published."""


class HistoryLimits(Struct, frozen=True, kw_only=True):
    """`keep_seconds` covers the time until a loss is noticed, too."""

    keep_seconds: float = 240.0
    account_bytes: int = 1_000_000
    total_bytes: int = 64_000_000


class Reader(NamedTuple):
    """Who missed something. It has all up to `position` for certain, and all sent before `last_acknowledged`.

    It has read what was published before `since`; `heard` is what it heard elsewhere, or None. Messages are
    left out for one that reads them by itself.
    """

    account_id: AccountId
    connection_id: ConnectionId
    scope: Scope
    target: str
    position: int
    last_acknowledged: float
    since: int = 0
    heard: StreamPosition | None = None
    reads_messages: bool = False


class Event(NamedTuple):
    """An event as it is sent and kept."""

    audience: Audience
    skip: ConnectionId | None
    name: str
    payload: bytes
    origin: Origin | None = None


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
            and self.at >= reader.last_acknowledged
            and self.skip != reader.connection_id
            and self.audience.includes(reader.scope, reader.target)
            and not (self.origin and already_delivered(self.origin, reader.since, reader.heard))
            and not (reader.reads_messages and is_message(self.packet))
        )


class _Account:
    """The events of one account, and up to where older ones are gone.

    Of events that tell of the same state only the last one is kept, in `states`, the oldest first. `marks`
    say how far the account was heard at some moments.
    """

    __slots__ = ("entries", "gone", "gone_at", "marks", "newest_at", "size", "states")

    def __init__(self) -> None:
        self.entries: deque[_Entry] = deque()
        self.states: OrderedDict[State, _Entry] = OrderedDict()
        self.marks: deque[tuple[float, str]] = deque()
        self.size = 0
        self.gone = 0
        self.gone_at = self.newest_at = 0.0

    def add(self, entry: _Entry, state: State | None) -> None:
        self.newest_at = entry.at
        self.size += entry.size
        if state is None:
            self.entries.append(entry)
            return
        former = self.states.get(state)
        self.states[state] = entry
        if former is not None:
            self.size -= former.size
            self.states.move_to_end(state)

    def note(self, at: float, mark: str, oldest: float) -> None:
        """Remember how far the account was heard now, unless that was done a moment ago."""
        if not self.marks or at - self.marks[-1][0] >= MARK_SECONDS:
            self.marks.append((at, mark))
            while self.marks[0][0] < oldest:
                self.marks.popleft()

    def missed(self, reader: Reader) -> list[bytes]:
        found = [entry for entry in self.entries if entry.is_for(reader)]
        found += [entry for entry in self.states.values() if entry.is_for(reader)]
        return [entry.packet for entry in sorted(found, key=lambda entry: entry.number)]

    def exceeds(self, limits: HistoryLimits, oldest: float) -> bool:
        return (
            self.size > limits.account_bytes
            or len(self.entries) > MAX_EVENTS
            or len(self.states) > MAX_STATES
            or bool(self.entries and self.entries[0].at < oldest)
            or bool(self.states and next(iter(self.states.values())).at < oldest)
        )

    def drop_oldest(self) -> bool:
        """Drop the oldest event; False if there is none."""
        state = next(iter(self.states.values()), None)
        if state is not None and (
            not self.entries or state.number < self.entries[0].number or len(self.states) > MAX_STATES
        ):
            _, dropped = self.states.popitem(last=False)
        elif self.entries:
            dropped = self.entries.popleft()
        else:
            return False
        self.size -= dropped.size
        self.gone, self.gone_at = max(self.gone, dropped.number), max(self.gone_at, dropped.at)
        return True

    def mark_before(self, moment: float) -> str:
        """How far the account was heard at the last moment before this one of which that is known."""
        entry = next((entry for entry in reversed(self.entries) if entry.at < moment), None)
        at, mark = next((noted for noted in reversed(self.marks) if noted[0] < moment), (0.0, ""))
        return mark if entry is None or at > entry.at else shared_part(offset_of(entry.packet))


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
        fits = tag == self._tag and digits.isascii() and digits.isdecimal() and len(digits) <= MAX_NUMBER
        return int(digits) if fits else None

    def append(self, account_id: AccountId, event: Event, mark: str = "", cursor: str = "") -> bytes:
        """Keep an event; the packet to be sent now, which names its offset unless it tells of a state.

        `mark` is how far the account was heard with it, for other nodes, and `cursor` how far its session.
        """
        self._number += 1
        state = state_of(event.name, event.payload)
        packet = encode_event(event.name, event.payload) if state else self._with_offset(event, mark, cursor)
        account = self._accounts.get(account_id)
        if account is None:
            account = self._accounts[account_id] = _Account()
        now, former = self._now(), account.size
        size = sys.getsizeof(packet) + ENTRY_BYTES
        entry = _Entry(self._number, now, event.audience, event.skip, event.origin, packet, size)
        account.add(entry, state)
        if state and mark:
            account.note(now, mark, now - self._limits.keep_seconds)
        self._filled[account_id] = account
        self._filled.move_to_end(account_id)
        self.size += account.size - former
        if account.size > former:  # not for a sign of life like the one before
            self._trim(account_id, account, now)
        return packet

    def _with_offset(self, event: Event, mark: str, cursor: str) -> bytes:
        offset = f"{self._tag}.{self._number}"
        offset = f"{offset}-{mark}{cursor}" if mark else offset + cursor
        return encode_event_at(offset, event.name, event.payload)

    def missed(self, reader: Reader) -> list[bytes] | None:
        """The packets for this reader in order, None if some of them may be gone."""
        account = self._accounts.get(reader.account_id)
        if account is None:
            return []
        if reader.position < account.gone and reader.last_acknowledged <= account.gone_at:
            return None
        return account.missed(reader)

    def mark_before(self, account_id: AccountId, moment: float) -> str | None:
        """How far the account was heard before `moment`: empty if unknown, None for all up to now."""
        account = self._accounts.get(account_id)
        if account is None or account.newest_at < moment:
            return None
        return account.mark_before(moment)

    def interrupt(self, account_id: AccountId) -> None:
        """Events of the account were lost before they came here: nobody can be given everything."""
        self._number += 1
        account = self._accounts.setdefault(account_id, _Account())
        self._drop_all(account_id, account)
        account.gone, account.gone_at = self._number, self._now()
        account.newest_at = account.gone_at
        account.marks.clear()

    def forget(self, account_id: AccountId) -> None:
        """Nobody can ask for this account's events any more."""
        account = self._accounts.pop(account_id, None)
        if account is not None:
            self._drop_all(account_id, account)

    def _trim(self, account_id: AccountId, account: _Account, now: float) -> None:
        limits, oldest = self._limits, now - self._limits.keep_seconds
        while account.exceeds(limits, oldest) and self._drop_oldest(account):
            pass
        if not account.size:
            self._filled.pop(account_id, None)
        while self._filled:
            quietest, other = next(iter(self._filled.items()))
            if self.size <= limits.total_bytes and other.newest_at >= oldest:
                break
            self._drop_all(quietest, other)

    def _drop_oldest(self, account: _Account) -> bool:
        former = account.size
        dropped = account.drop_oldest()
        self.size += account.size - former
        return dropped

    def _drop_all(self, account_id: AccountId, account: _Account) -> None:
        while self._drop_oldest(account):
            pass
        self._filled.pop(account_id, None)


def already_delivered(origin: Origin, since: int, heard: StreamPosition | None) -> bool:
    """Whether somebody has read or heard an event that comes late, as it does when Redis was away."""
    return origin.at < since - CLOCK_MS or (
        heard is not None and heard.covers(origin.replica_id, origin.number)
    )


def offset_of(packet: bytes) -> str:
    """What a client sends back of a packet: its last argument, without how far its session was sent."""
    return split_cursor(last_argument(packet))[0]


def last_argument(packet: bytes) -> str:
    """The text at the end of a packet's arguments; that of an event without an offset is something else."""
    return packet[:-2].rpartition(b'"')[2].decode(errors="replace")


def shared_part(offset: str) -> str:
    """What an offset says to all nodes."""
    return offset.partition("-")[2]


def heard_with(offset: str) -> StreamPosition | None:
    """How far a client that sends this offset has heard, if it says so to all nodes."""
    return parse(shared_part(offset))
