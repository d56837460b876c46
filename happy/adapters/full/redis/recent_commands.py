"""Confirmed commands of the last seconds, to be repeated if Redis restarts without them."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from happy.adapters.full.redis.wire import Entry
from happy.limits import limit

RECENT_SECONDS: Final = 5.0
MAX_RECENT = limit(
    50_000,
    "confirmed commands kept for a restart of Redis",
    per="replica",
    then="the oldest are forgotten; their clients are resynced if it does restart",
)
MAX_RECENT_BYTES = limit(
    32 * 1024 * 1024,
    "bytes of confirmed commands kept for a restart of Redis",
    per="replica",
    then="the oldest are forgotten; their clients are resynced if it does restart",
)

MAX_RECENT_SIZE = limit(
    1_000_000,
    "bytes of a confirmed command kept for a restart of Redis",
    per="command",
    then="it is forgotten; its clients are resynced if Redis does restart",
)


class _Recent(NamedTuple):
    confirmed: float
    size: int
    subject: str | None
    again: Callable[[], bytes]


class RecentCommands:
    """Of what is forgotten because there is too much of it, the subject is kept for as long as the rest."""

    def __init__(self) -> None:
        self._commands: deque[_Recent] = deque()
        self._bytes = 0
        self._forgotten: dict[
            str, float
        ] = {}  # by subject, when its last one was confirmed; the oldest first

    def add(self, entry: Entry, again: Callable[[], bytes]) -> None:
        now, size = time.monotonic(), len(entry.packed)
        recent = _Recent(now, size, entry.subject, again)
        if size > MAX_RECENT_SIZE:
            self._forget(recent, now)
            return
        self._commands.append(recent)
        self._bytes += size
        while self._commands[0].confirmed < now - RECENT_SECONDS:
            self._pop()
        while len(self._commands) > MAX_RECENT or self._bytes > MAX_RECENT_BYTES:
            self._forget(self._pop(), now)

    def _forget(self, command: _Recent, now: float) -> None:
        if command.subject is not None:
            self._forgotten.pop(command.subject, None)
            self._forgotten[command.subject] = command.confirmed
        while (first := next(iter(self._forgotten), None)) and self._forgotten[first] < now - RECENT_SECONDS:
            del self._forgotten[first]

    def _pop(self) -> _Recent:
        command = self._commands.popleft()
        self._bytes -= command.size
        return command

    def take(self) -> list[Entry]:
        """All of them made anew, the oldest first. None are kept."""
        entries = [Entry(each.again(), subject=each.subject, again=each.again) for each in self._commands]
        self._commands.clear()
        self._bytes = 0
        return entries

    def take_forgotten(self) -> list[str]:
        """The subjects of commands of the last seconds that were too many or too large to be kept."""
        since = time.monotonic() - RECENT_SECONDS
        forgotten = [subject for subject, confirmed in self._forgotten.items() if confirmed >= since]
        self._forgotten.clear()
        return forgotten
