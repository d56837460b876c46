"""The connection pool of one replica."""

import asyncio
import math
import time
from typing import Any

import asyncpg
from msgspec import Struct

from happy.adapters.full.postgres.dsn import Address
from happy.adapters.full.postgres.replicas import NAMED
from happy.adapters.full.postgres.tls import hide_unreadable_home
from happy.domain.errors import Unavailable
from happy.limits import limit

MAX_CONNECTIONS = limit(
    16,
    "connections to PostgreSQL",
    per="replica",
    then="requests wait, then 503",
    setting="HAPPY_POSTGRES_CONNECTIONS",
)
FULL_SECONDS = 10.0
RENEWAL_SECONDS = 1.0


class PoolSettings(Struct, frozen=True, kw_only=True):
    """Sizes of the pool, and timeouts in s."""

    smallest: int = 1
    """One connection is enough for a start."""

    largest: int = MAX_CONNECTIONS
    waiting: int = 512
    acquire: float = 5.0
    connect: float = 5.0
    statement: float = 10.0
    statement_cache: int = 256
    replica: str | None = None
    """What this replica is called; None: a command's."""


class Writes:
    """Whether the database accepts writes, by the errors of recent writes.

    A read-only database can be detected by a query. A full disk only shows in failing writes, and a replica
    that is not ready gets no requests that could show that it has space again: full expires after a time.
    """

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._renewed_at = -math.inf
        self._full_at = -math.inf

    async def refused(self, *, full: bool = False) -> None:
        """Replace the connections, once a second: after a failover the same name is another server."""
        now = time.monotonic()
        if full:
            self._full_at = now
        elif now - self._renewed_at > RENEWAL_SECONDS:
            self._renewed_at = now
            await self._pool.expire_connections()

    def succeeded(self) -> None:
        self._full_at = -math.inf

    def require(self) -> None:
        """Raises Unavailable while the disk counts as full."""
        if time.monotonic() - self._full_at < FULL_SECONDS:
            raise Unavailable("the database takes no writes")


def pool_settings(
    address: Address, connections: int | None = None, replica: str | None = None
) -> PoolSettings:
    """`connections` overrides the limit in the address."""
    defaults = PoolSettings()
    return PoolSettings(
        largest=connections or address.connections or MAX_CONNECTIONS,
        connect=address.connect_seconds or defaults.connect,
        statement_cache=defaults.statement_cache if address.keeps_statements else 0,
        replica=replica,
    )


async def open_pool(address: Address, settings: PoolSettings) -> "asyncpg.Pool[asyncpg.Record]":
    return await asyncpg.create_pool(
        **arguments(address),
        min_size=min(settings.smallest, settings.largest),
        max_size=settings.largest,
        command_timeout=settings.statement,
        timeout=settings.connect,
        statement_cache_size=0 if address.behind_pooler else settings.statement_cache,
        server_settings=_session(address, settings),
        reset=_keep,
    )


def arguments(address: Address) -> dict[str, Any]:
    """Connection arguments of the driver."""
    hide_unreadable_home()
    return address.arguments()


def _session(address: Address, settings: PoolSettings) -> dict[str, str]:
    """The server's statement timeout is below the driver's: after the former, no commit is in doubt."""
    if address.behind_pooler:
        return address.server_settings
    named = {} if settings.replica is None else {"application_name": f"{NAMED}{settings.replica}"}
    timeout = {"statement_timeout": f"{settings.statement * 900:.0f}"}
    return {**address.server_settings, **named, **address.session, **timeout}


async def _keep(connection: Any) -> None:
    """No reset on release: no statement of ours changes the server session, so it saves a round trip."""


async def close_pool(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    try:
        async with asyncio.timeout(2):
            await pool.close()
    except TimeoutError:
        pool.terminate()
