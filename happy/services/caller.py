"""Whom the running work is for, so that accounts take turns where much waits for the store.

It is set where a request or an event of an account begins, and inherited by the tasks that these start.
"""

from contextvars import ContextVar
from typing import Final

ACCOUNT: Final = ContextVar("account", default="")
"""The id of the account; empty for everything else."""

PING: Final = "ping"
"""Instead of an account: whether the database answers."""

APPENDS: Final = "appends"
"""Instead of an account: messages of several that share a commit."""
