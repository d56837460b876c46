"""Counts and logs what accounts are refused because the server keeps enough for them already.

protocol: operations#metrics
"""

import logging
from typing import Literal

from happy.domain.values import AccountId
from happy.metrics import Metrics
from happy.telemetry import LimitedLog

LimitKind = Literal["sockets", "methods", "calls", "events", "large_events"]

LINES_A_MINUTE = 20

log_limit = LimitedLog(
    logging.getLogger(__name__), "an account has reached a limit", level=logging.INFO, burst=LINES_A_MINUTE
)


def refused(metrics: Metrics, what: LimitKind, account_id: AccountId) -> None:
    """To be called for each refusal, and for each socket that is closed for being one too many."""
    metrics.account_limits.add(what)
    log_limit(f"{what}, account {account_id}")
