"""Logging: one structured line per event on stdout, without credentials."""

import asyncio
import json
import logging
import math
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Final, TextIO

from happy.limits import limit

_ESCAPE: Final = json.JSONEncoder(ensure_ascii=False).encode
_PLAIN: Final = re.compile(r"[\w.,:;/@+*#%()\[\]-]+")
_FRAMES: Final = 8
_WINDOW: Final = 60.0

DEVELOPER_LOG: Final = "happy.services.developer_log"
"""The logger of entries that clients under development send."""

# What a record carries by itself; everything else was given as `extra` and is shown.
_OWN_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}

# A last line of defence: nobody should log these, but a library's message or an exception may hold one.
_CREDENTIALS: Final = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[^\s\"',]+"), r"\1 ***"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), "***"),
    (re.compile(r"(://[^/\s:@]*):[^/\s@]+@"), r"\1:***@"),
)


MAX_WARNINGS = limit(
    60,
    "warnings and errors of one call site in the code, a minute",
    per="replica",
    then="left out, and counted",
)
MAX_INFOS = limit(
    600, "other log lines of one call site in the code, a minute", per="replica", then="left out, and counted"
)
"""Except debug lines, which are all written when they are switched on."""

MAX_TEXT = limit(2_000, "characters of a value in a log line", per="value", then="the rest is cut off")
MAX_LINE = limit(8_000, "characters of a log line", per="line", then="the rest is cut off")


class LineLimit(logging.Filter):
    """A rate limit for every call site that logs, as peers can make most of them log at will.

    The last line that is written for a while says so (`more=...`), the next one how many were left out
    (`left_out=...`).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = Lock()
        self._call_sites: dict[tuple[str, str, int], list[float]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.INFO or record.name == DEVELOPER_LOG:
            return True
        most = MAX_INFOS if record.levelno < logging.WARNING else MAX_WARNINGS
        with self._lock:  # threads log too
            call_site = (record.name, record.pathname, record.lineno)
            begun, count = self._call_sites.get(call_site, (-math.inf, 0))
            if self._clock() >= begun + _WINDOW:
                if count > most:
                    record.left_out = int(count - most)
                begun, count = self._clock(), 0
            self._call_sites[call_site] = [begun, count + 1]
        if count + 1 == most:
            record.more = f"left out for {begun + _WINDOW - self._clock():.0f} s"
        return count < most


class LimitedLog:
    """At most `burst` lines of a kind in `seconds`; those left out are counted in the next line.

    A rate limit for lines that a peer can cause at will. Called in the event loop.
    """

    def __init__(
        self,
        logger: logging.Logger,
        text: str,
        *,
        level: int = logging.WARNING,
        burst: int = 1,
        seconds: float = 60.0,
    ) -> None:
        self._logger = logger
        self._text = text
        self._level = level
        self._burst = burst
        self._seconds = seconds
        self._ends = 0.0
        self._written = 0
        self._left_out = 0

    def __call__(self, detail: str = "") -> None:
        loop = asyncio.get_running_loop()
        if loop.time() >= self._ends:
            self._ends, self._written = loop.time() + self._seconds, 0
        self._written += 1
        if self._written <= self._burst:
            about = f": {detail}" if detail else ""
            self._logger.log(self._level, "%s%s", self._text, about, stacklevel=2)
            return
        self._left_out += 1
        if self._left_out == 1:
            loop.call_at(self._ends, self._count)

    def _count(self) -> None:
        count, self._left_out = self._left_out, 0
        self._ends, self._written = asyncio.get_running_loop().time() + self._seconds, 1
        self._logger.log(self._level, "%s: %d more within %.0f s", self._text, count, self._seconds)


class LineFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.000Z info happy.gateway what happened key=value`, whatever the values contain."""

    def format(self, record: logging.LogRecord) -> str:
        line = _cut(" ".join(self._parts(record)), MAX_LINE)
        for pattern, replacement in _CREDENTIALS:
            line = pattern.sub(replacement, line)
        return line

    def _parts(self, record: logging.LogRecord) -> Iterator[str]:
        yield f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03}Z"
        yield record.levelname.lower()
        yield record.name
        yield " ".join(_cut(record.getMessage()).splitlines())
        for name, value in vars(record).items():
            if name not in _OWN_FIELDS:
                yield f"{name}={_value(value)}"
        if record.exc_info and record.exc_info[1]:
            yield from _causes(record.exc_info[1])


def configure(level: str, stream: TextIO | None = None, *, copy_to: Path | None = None) -> None:
    """Send this server's records of `level` and up to the stream, or stdout, and to the file `copy_to`.

    Records of libraries need level warning: at debug level some of them log payloads.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(stream or sys.stdout)]
    if copy_to is not None:
        copy_to.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(copy_to, encoding="utf-8"))
    for handler in handlers:
        handler.setFormatter(LineFormatter())
        handler.addFilter(LineLimit())
    logging.basicConfig(level=logging.WARNING, handlers=handlers, force=True)
    logging.getLogger("happy").setLevel(level.upper())
    if copy_to is not None:
        _only_to(handlers[-1], logging.getLogger(DEVELOPER_LOG))


def _only_to(handler: logging.Handler, logger: logging.Logger) -> None:
    """Entries of clients go to the file alone, whatever their level, and not to stdout."""
    logger.setLevel(logging.DEBUG)
    logger.handlers = [handler]
    logger.propagate = False


def debug_log_file(started: float) -> Path:
    """Where a developer's copy of the log goes: named by the local time of the start."""
    return Path(".logs") / time.strftime("%m-%d-%H-%M-%S.log", time.localtime(started))


def _cut(text: str, longest: int = MAX_TEXT) -> str:
    return text if len(text) <= longest else f"{text[:longest]}..."


def _value(value: object) -> str:
    text = _cut(str(value))
    return text if _PLAIN.fullmatch(text) else _ESCAPE(text)


def _causes(error: BaseException) -> Iterator[str]:
    """The exception and what led to it, innermost frame first, on the same line."""
    name = "error"
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield f"{name}={_ESCAPE(_cut(f'{type(following).__name__}: {following}'))}"
        yield f"at={_ESCAPE(' < '.join(_frames(following.__traceback__)))}"
        name = "cause"
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)


def _frames(traceback: TracebackType | None) -> list[str]:
    frames: list[str] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        frames.append(f"{'/'.join(Path(code.co_filename).parts[-2:])}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    return frames[: -_FRAMES - 1 : -1]
