"""Log entries of clients under development, written to this server's log file.

protocol: http#developer-log-endpoint
"""

import logging
from math import ceil
from typing import Literal

from happy.domain.errors import TooMany
from happy.domain.ports.clock import Elapsed
from happy.domain.token_buckets import TokenBuckets
from happy.domain.values import MINUTE, SECOND
from happy.limits import limit
from happy.metrics import Metrics
from happy.telemetry import LimitedLog

ENTRIES_PER_MINUTE = 600
MAX_CHARACTERS = limit(
    8_000, "characters of a message in the developer log", per="message", then="the rest is cut off"
)
"""How much of one message is kept, in characters."""

MAX_TOTAL_CHARACTERS = limit(
    64 * 1024 * 1024,
    "characters in the developer log, from start to end",
    per="replica",
    then="no more is written",
)
"""How much is written from start to end, in characters: callers are not authenticated, the disk is finite."""

FULL_SECONDS = 3_600
"""When to try again where no more is written, in s: somebody may have started the server again."""

Source = Literal["mobile", "cli"]
LEVELS = {"error": logging.ERROR, "warn": logging.WARNING, "warning": logging.WARNING, "debug": logging.DEBUG}

log = logging.getLogger(__name__)


class DeveloperLog:
    def __init__(self, elapsed: Elapsed, metrics: Metrics) -> None:
        self._elapsed = elapsed
        self._metrics = metrics
        self._log_refused = LimitedLog(logging.getLogger("happy.services"), "too many log entries")
        self._entries = TokenBuckets(MINUTE)
        self._left = MAX_TOTAL_CHARACTERS

    def write(self, level: str, message: str, source: Source, platform: str | None, timestamp: str) -> None:
        """Write one entry. Raises TooMany beyond the rate and size limits."""
        text, about = message[:MAX_CHARACTERS], {"source": source, "sent": timestamp[:100]}
        if platform is not None:
            about["platform"] = platform[:100]
        self._left -= len(text) + sum(map(len, about.values()))
        wait = self._entries.take(None, MINUTE / ENTRIES_PER_MINUTE, self._elapsed())
        if wait or self._left < 0:
            self._metrics.rate_limited.add("log_entries")
            self._log_refused()
            seconds = FULL_SECONDS if self._left < 0 else max(1, ceil(wait / SECOND))
            raise TooMany("Too many log entries", seconds)
        log.log(LEVELS.get(level, logging.INFO), "%s", text, extra=about)
