"""Is the server there, and is it well? (protocol: http#infrastructure-endpoints)"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from happy.domain.errors import Stopping
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.responses import TEXT, Response, json_response
from happy.metrics import LinkState
from happy.services.readiness import Readiness
from happy.telemetry import LimitedLog

BANNER = "Welcome to Happy Server!"
"""Clients recognise a server by this text."""
DATABASE_TIMEOUT_SECONDS = 5.0
"""How long the database may take to count as healthy, in s."""

DATABASE_FAILED = "Database connectivity failed"
FILES_FAILED = "File storage failed"

_log_problem = LimitedLog(logging.getLogger(__name__), "the health check failed", burst=3)


class Health(Struct):
    status: Literal["ok", "error"]
    timestamp: str
    service: str = "happy-server"
    error: str | UnsetType = UNSET
    redis: Literal["unavailable"] | UnsetType = UNSET
    """Reported without failing the check: every replica still serves its own clients."""
    backup: Literal["overdue"] | UnsetType = UNSET
    """The server backs up by itself, and the last backup is older than two periods. Fails no check."""


class HealthEndpoints:
    def __init__(self, readiness: Readiness, link_state: Callable[[], LinkState] | None) -> None:
        self._readiness = readiness
        self._link_state = link_state

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint("GET", "/", self.banner, public=True, other_responses={200: TEXT}),
            Endpoint("GET", "/health", self.health, public=True, other_responses={200: Health, 503: Health}),
        ]

    async def banner(self) -> Response:
        """A text by which clients recognise a server, or the web app."""
        return Response(200, BANNER.encode(), TEXT)

    async def health(self) -> Response:
        """Whether the server can serve: 503 takes it out of service at a balancer."""
        redis_down = self._link_state is not None and not self._link_state().up
        redis: Literal["unavailable"] | UnsetType = "unavailable" if redis_down else UNSET
        backup: Literal["overdue"] | UnsetType = "overdue" if self._readiness.backups.overdue else UNSET
        error = await self._problem()
        if error is not None:
            return json_response(503, Health("error", now(), error=error, redis=redis, backup=backup))
        return json_response(200, Health("ok", now(), redis=redis, backup=backup))

    async def _problem(self) -> str | None:
        """The reason for a 503, by which balancers take this replica out of service; None if healthy."""
        problem = DATABASE_FAILED
        try:
            async with asyncio.timeout(DATABASE_TIMEOUT_SECONDS):
                await self._readiness.check()
                problem = FILES_FAILED
                await self._readiness.check_files()
        except Stopping as stopping:
            return str(stopping)
        except Exception as error:  # noqa: BLE001 - whatever it is, the server is not well
            _log_problem(f"{problem}: {error!r}")
            return problem
        return None


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
