"""How many files and connections this process may have open, and what happens when there are no more."""

import asyncio
import logging
import resource
from typing import Final

from happy.limits import limit
from happy.services.connection_table import MAX_CONNECTIONS
from happy.telemetry import LimitedLog

MAX_OPEN_FILES: Final = limit(
    1 << 20,
    "open files that the process requests of the system",
    per="replica",
    then="connections wait to be accepted",
)
RESERVE: Final = 64
"""File descriptors kept free for the database, uploads and outgoing connections."""

log = logging.getLogger(__name__)
out_of_files = LimitedLog(log, "refused a connection, too many files are open: raise the limit (LimitNOFILE)")


def raise_limit() -> None:
    """Raise the soft limit of open files, 1024 by default, to the hard limit, at most MAX_OPEN_FILES."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError) as error:  # some systems grant less than they say
        log.warning("no more than %s files and connections can be open: %s", soft, error)


def allowed_connections() -> int:
    """How many connections there may be, so that enough files are left for everything else."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if limit == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, limit * 3 // 4)


def are_scarce(transport: asyncio.BaseTransport) -> bool:
    """Whether this connection took one of the last descriptors; the kernel assigns the lowest free number."""
    connection = transport.get_extra_info("socket")
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if connection is None or limit == resource.RLIM_INFINITY:
        return False
    return int(connection.fileno()) >= limit - min(RESERVE, limit // 4)
