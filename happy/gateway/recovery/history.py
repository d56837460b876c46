"""The updates of the last minutes, in memory, to be replayed to clients that lost their connection."""

import secrets
import sys
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import NamedTuple

from happy.domain.events import Audience, Scope
from happy.domain.ports.cluster import CLOCK_MS, Origin
from happy.domain.stream_position import StreamPosition, parse
from happy.domain.values import AccountId, ConnectionId
from happy.gateway.engine import encode_event, encode_event_at
from happy.gateway.recovery.cursors import split_cursor
from happy.gateway.recovery.limits import MAX_EVENTS, MAX_STATES, HistoryLimits
from happy.gateway.recovery.replay import State, is_message, state_of

ENTRY_BYTES = 200
"""What an event costs besides its packet."""

MAX_NUMBER = 18
POSITION_SECONDS = 5.0
"""How often, in s, the stream position is recorded while only states are published."""


class RecoveryCursor(NamedTuple):
    """How far a client has received: up to event `number`, and what was sent before `last_acknowledged`.

    It read over HTTP what was published before `since`; `received` is what it was sent by other replicas, or
    None. Messages are left out of its replay if it reads them over HTTP itself.
    """

    account_id: AccountId
    connection_id: ConnectionId
    scope: Scope
    target: str
    number: int
    last_acknowledged: float
    since: int = 0
    received: StreamPosition | None = None
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

    def is_missed_by(self, cursor: RecoveryCursor) -> bool:
        return (
            self.number > cursor.number
            and self.at >= cursor.last_acknowledged
            and self.skip != cursor.connection_id
            and self.audience.includes(cursor.scope, cursor.target)
            and not (self.origin and already_delivered(self.origin, cursor.since, cursor.received))
            and not (cursor.reads_messages and is_message(self.packet))
        )


class _Account:
    """The kept events of one account. Those up to number `dropped`, sent up to `dropped_at`, may be gone.

    Of events of the same state only the last one is kept, in `states`, the oldest first. `positions` are
    stream positions of some moments.
    """

    __slots__ = ("dropped", "dropped_at", "entries", "newest_at", "positions", "size", "states")

    def __init__(self) -> None:
        self.entries: deque[_Entry] = deque()
        self.states: OrderedDict[State, _Entry] = OrderedDict()
        self.positions: deque[tuple[float, str]] = deque()
        self.size = 0
        self.dropped = 0
        self.dropped_at = self.newest_at = 0.0

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

    def record_position(self, at: float, position: str, oldest: float) -> None:
        """Remember the stream position of now, unless that was done less than `POSITION_SECONDS` ago."""
        if not self.positions or at - self.positions[-1][0] >= POSITION_SECONDS:
            self.positions.append((at, position))
            while self.positions[0][0] < oldest:
                self.positions.popleft()

    def missed(self, cursor: RecoveryCursor) -> list[bytes]:
        found = [entry for entry in self.entries if entry.is_missed_by(cursor)]
        found += [entry for entry in self.states.values() if entry.is_missed_by(cursor)]
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
        self.dropped = max(self.dropped, dropped.number)
        self.dropped_at = max(self.dropped_at, dropped.at)
        return True

    def position_before(self, moment: float) -> str:
        """The last known stream position from before `moment`, empty if there is none."""
        entry = next((entry for entry in reversed(self.entries) if entry.at < moment), None)
        at, position = next((each for each in reversed(self.positions) if each[0] < moment), (0.0, ""))
        return position if entry is None or at > entry.at else shared_part(offset_of(entry.packet))


class History:
    """Kept events by account. Beyond the total size, those of the account without events for longest go."""

    def __init__(self, limits: HistoryLimits, now: Callable[[], float] = time.monotonic) -> None:
        self.size = 0
        self._limits = limits
        self._now = now
        self._number = 0
        # Distinguishes offsets of this history from those of other replicas and of earlier runs.
        self._tag = secrets.token_hex(4)
        self._accounts: dict[AccountId, _Account] = {}
        self._filled: OrderedDict[AccountId, _Account] = OrderedDict()  # least recently published to first

    @property
    def newest_number(self) -> int:
        """The number of the newest event."""
        return self._number

    def number(self, offset: str) -> int | None:
        """The number of the event with this offset; None if the offset is not one of this history."""
        tag, _, digits = offset.partition("-")[0].partition(".")
        fits = tag == self._tag and digits.isascii() and digits.isdecimal() and len(digits) <= MAX_NUMBER
        return int(digits) if fits else None

    def append(self, account_id: AccountId, event: Event, position: str = "", cursor: str = "") -> bytes:
        """Keep an event. Returns the packet to be sent, which has an offset unless the event is a state.

        `position` (in the stream, after this event) and `cursor` (of messages) end the offset.
        """
        self._number += 1
        state = state_of(event.name, event.payload)
        offset = f"-{position}{cursor}" if position else cursor
        packet = self._encode(event, None if state else offset)
        account = self._accounts.get(account_id)
        if account is None:
            account = self._accounts[account_id] = _Account()
        now, former = self._now(), account.size
        size = sys.getsizeof(packet) + ENTRY_BYTES
        entry = _Entry(self._number, now, event.audience, event.skip, event.origin, packet, size)
        account.add(entry, state)
        if state and position:
            account.record_position(now, position, now - self._limits.keep_seconds)
        self._filled[account_id] = account
        self._filled.move_to_end(account_id)
        self.size += account.size - former
        if account.size > former:  # not if it only replaced a state of the same size
            self._trim(account_id, account, now)
        return packet

    def _encode(self, event: Event, end_of_offset: str | None) -> bytes:
        if end_of_offset is None:
            return encode_event(event.name, event.payload)
        return encode_event_at(f"{self._tag}.{self._number}{end_of_offset}", event.name, event.payload)

    def missed(self, cursor: RecoveryCursor) -> list[bytes] | None:
        """The packets that this client missed in order, None after a history gap."""
        account = self._accounts.get(cursor.account_id)
        if account is None:
            return []
        if cursor.number < account.dropped and cursor.last_acknowledged <= account.dropped_at:
            return None
        return account.missed(cursor)

    def position_before(self, account_id: AccountId, moment: float) -> str | None:
        """The stream position before `moment`: empty if unknown, None if nothing was published since."""
        account = self._accounts.get(account_id)
        if account is None or account.newest_at < moment:
            return None
        return account.position_before(moment)

    def resync(self, account_id: AccountId) -> None:
        """Events of the account were lost on their way here: a history gap for all clients up to now."""
        self._number += 1
        account = self._accounts.setdefault(account_id, _Account())
        self._drop_all(account_id, account)
        account.dropped, account.dropped_at = self._number, self._now()
        account.newest_at = account.dropped_at
        account.positions.clear()

    def forget(self, account_id: AccountId) -> None:
        """No client of the account can be recovered here any more."""
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
            oldest_id, other = next(iter(self._filled.items()))
            if self.size <= limits.total_bytes and other.newest_at >= oldest:
                break
            self._drop_all(oldest_id, other)

    def _drop_oldest(self, account: _Account) -> bool:
        former = account.size
        dropped = account.drop_oldest()
        self.size += account.size - former
        return dropped

    def _drop_all(self, account_id: AccountId, account: _Account) -> None:
        while self._drop_oldest(account):
            pass
        self._filled.pop(account_id, None)


def already_delivered(origin: Origin, since: int, received: StreamPosition | None) -> bool:
    """Whether a client has an event that arrives late, as it does after an outage of Redis.

    It was published before the client read everything over HTTP (`since`), or the client `received` it from
    another replica.
    """
    return origin.at < since - CLOCK_MS or (
        received is not None and received.covers(origin.replica_id, origin.number)
    )


def offset_of(packet: bytes) -> str:
    """The offset in a packet, its last argument, without the cursor of the session's messages."""
    return split_cursor(last_argument(packet))[0]


def last_argument(packet: bytes) -> str:
    """The text at the end of a packet's arguments; without an offset in the packet, any other text."""
    return packet[:-2].rpartition(b'"')[2].decode(errors="replace")


def shared_part(offset: str) -> str:
    """The part of an offset that every replica understands: a stream position."""
    return offset.partition("-")[2]


def received_with(offset: str) -> StreamPosition | None:
    """The stream position in an offset, None if there is none."""
    return parse(shared_part(offset))
