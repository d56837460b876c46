"""New identifiers: ids that sort by the time they were made, and short random names."""

import os
import string
import threading
from typing import Final

from happy.domain.values import Millis

BASE36: Final = string.digits + string.ascii_lowercase
ALPHANUMERIC: Final = string.ascii_uppercase + string.ascii_lowercase + string.digits

_DIGITS: Final = tuple(high + low for high in BASE36 for low in BASE36)
_PAIR: Final = 36**2
_COUNT: Final = 36**4
_POOL_BYTES: Final = 4_096


class RandomText:
    """Unguessable characters of one alphabet, cut from a pool so that few of them cost a system call."""

    def __init__(self, alphabet: str) -> None:
        size = len(alphabet)
        fair = 256 - 256 % size  # a byte beyond this would favour the first characters
        self._letters = bytes(alphabet.encode()[byte % size] for byte in range(256))
        self._unfair = bytes(range(fair, 256))
        self._pool = ""
        self._position = 0
        self._lock = threading.Lock()

    def take(self, length: int) -> str:
        with self._lock:
            start, end = self._position, self._position + length
            while end > len(self._pool):
                self._pool = self._pool[start:] + self._fresh()
                start, end = 0, length
            self._position = end
            return self._pool[start:end]

    def _fresh(self) -> str:
        return os.urandom(_POOL_BYTES).translate(self._letters, self._unfair).decode()


class Ids:
    """Collision-resistant ids: `c`, 8 digits of time, 4 of a counter, 4 of this process, 8 random; base 36.

    Later ids of one instance are greater as text, even in the same millisecond or when the clock steps back.
    """

    def __init__(self) -> None:
        self._random = RandomText(BASE36)
        self._process = RandomText(BASE36).take(4)
        self._lock = threading.Lock()
        self._time = 0
        self._time_digits = ""
        self._count = 0

    def __call__(self, now: Millis) -> str:
        with self._lock:
            prefix = self._advance(now)
        return prefix + self._process + self._random.take(8)

    def _advance(self, now: int) -> str:
        """The next time and count, together always greater than the last."""
        self._count += 1
        if self._count == _COUNT:
            self._count = 0
            now = max(now, self._time + 1)
        if now > self._time:
            self._time = now
            self._time_digits = _base36(now // _COUNT) + _base36(now % _COUNT)
        return f"c{self._time_digits}{_base36(self._count)}"


def new_id(now: Millis) -> str:
    """The id of a new row; later calls in this process give greater ids."""
    return _IDS(now)


def first_id_of(time: Millis) -> str:
    """Ids of rows that were made before `time` are less than this one, all others are greater."""
    return f"c{_base36(time // _COUNT)}{_base36(time % _COUNT)}"


def update_id() -> str:
    return _NAMES.take(12)


def file_key(prefix: str) -> str:
    return f"{prefix}_{_NAMES.take(24)}"


def _base36(number: int) -> str:
    """Four digits, for numbers below 36**4."""
    return _DIGITS[number // _PAIR] + _DIGITS[number % _PAIR]


# State of the whole process on purpose: the order of ids must hold across everything that makes some.
_IDS: Final = Ids()
_NAMES: Final = RandomText(ALPHANUMERIC)
