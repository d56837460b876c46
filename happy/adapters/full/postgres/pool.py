"""The connections to PostgreSQL that one replica keeps open."""

import asyncio
import math
import time
from typing import Any

import asyncpg
from msgspec import Struct

from happy.adapters.full.postgres.dsn import Address
from happy.adapters.full.postgres.tls import hide_unreadable_home
from happy.domain.errors import Unavailable

MOST = 16
FULL_SECONDS = 10.0
RENEWAL_SECONDS = 1.0


class PoolSettings(Struct, frozen=True, kw_only=True):
    """Times are seconds."""

    smallest: int = 1
    """A database that has a single connection left is enough for a start."""

    largest: int = MOST
    waiting: int = 512
    acquire: float = 5.0
    connect: float = 5.0
    statement: float = 10.0
    statement_cache: int = 256


class Writes:
    """What refused writes say of the database.

    That it is read-only can be asked at any time. A full disk shows in writes alone, and a server that is
    sent no requests meets none that could show its end: it counts as full for some seconds.
    """

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._renewed_at = -math.inf
        self._full_at = -math.inf

    async def refused(self, *, full: bool = False) -> None:
        """New connections are made, once a second: behind the same name may be another server now."""
        now = time.monotonic()
        if full:
            self._full_at = now
        elif now - self._renewed_at > RENEWAL_SECONDS:
            self._renewed_at = now
            await self._pool.expire_connections()

    def succeeded(self) -> None:
        self._full_at = -math.inf

    def require(self) -> None:
        """Raises Unavailable."""
        if time.monotonic() - self._full_at < FULL_SECONDS:
            raise Unavailable("the database takes no writes")


def pool_settings(place: Address, connections: int | None = None) -> PoolSettings:
    """`connections` wins over what the address asks for."""
    usual = PoolSettings()
    return PoolSettings(
        largest=connections or place.connections or MOST,
        connect=place.connect_seconds or usual.connect,
        statement_cache=usual.statement_cache if place.keeps_statements else 0,
    )


async def open_pool(place: Address, settings: PoolSettings) -> "asyncpg.Pool[asyncpg.Record]":
    return await asyncpg.create_pool(
        **arguments(place),
        min_size=min(settings.smallest, settings.largest),
        max_size=settings.largest,
        command_timeout=settings.statement,
        timeout=settings.connect,
        statement_cache_size=0 if place.behind_pooler else settings.statement_cache,
        server_settings=_session(place, settings),
        reset=_keep,
    )


def arguments(place: Address) -> dict[str, Any]:
    """How the driver reaches the database."""
    hide_unreadable_home()
    return place.arguments()


def _session(place: Address, settings: PoolSettings) -> dict[str, str]:
    """PostgreSQL gives up a little sooner than the driver: its refusal leaves no doubt, a silence does."""
    if place.behind_pooler:
        return place.server_settings
    return {**place.server_settings, "statement_timeout": f"{settings.statement * 900:.0f}"}


async def _keep(connection: Any) -> None:
    """No statement of ours changes its server session, so giving a connection back costs no round trip."""


async def close_pool(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    try:
        async with asyncio.timeout(2):
            await pool.close()
    except TimeoutError:
        pool.terminate()
