"""Counts what was refused to peers that exceed a limit, by kind, and logs it at a bounded rate.

protocol: operations#metrics
"""

import logging
from collections import Counter
from enum import StrEnum

from happy.telemetry import LimitedLog

LINES_A_MINUTE = 3
"""Log lines for each kind; the others are counted in the next one."""

log = logging.getLogger(__name__)


class RefusalKind(StrEnum):
    """What is refused, as the label of the metric."""

    CONNECTIONS = "connections"
    CONNECTIONS_OF_ADDRESS = "connections_of_address"
    CONTROL_FRAMES = "control_frames"
    CONTROL_PACKETS = "control_packets"
    CONNECT_PACKETS = "connect_packets"
    CHUNKS = "chunks"
    HANDSHAKES = "handshakes"
    INCOMPLETE_MESSAGES = "incomplete_messages"
    OPEN_FILES = "open_files"
    PIPELINED_REQUESTS = "pipelined_requests"
    SLOW_READERS = "slow_readers"
    SLOW_REQUESTS = "slow_requests"
    UNREAD_BODIES = "unread_bodies"


class Refusals:
    """To be called for each refusal, with the address of the peer. Called in the event loop."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._logs: dict[RefusalKind, LimitedLog] = {}

    def __call__(self, kind: RefusalKind, address: str = "") -> None:
        self.counts[kind.value] += 1
        if (limited := self._logs.get(kind)) is None:
            text = f"refused, {kind.value.replace('_', ' ')}"
            limited = self._logs[kind] = LimitedLog(log, text, level=logging.INFO, burst=LINES_A_MINUTE)
        limited(address)
