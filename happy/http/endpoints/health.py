"""Is the server there, and is it well? (protocol: http#infrastructure-endpoints)"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from happy.domain.errors import Stopping
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.responses import TEXT, Answer, json_answer
from happy.metrics import LinkState
from happy.services.readiness import Readiness

BANNER = "Welcome to Happy Server!"
"""Clients recognise a server by this text."""
PATIENCE = 5.0
"""How long the database may take to count as healthy, in s."""

log = logging.getLogger(__name__)


class Health(Struct):
    status: Literal["ok", "error"]
    timestamp: str
    service: str = "happy-server"
    error: str | UnsetType = UNSET
    redis: Literal["unavailable"] | UnsetType = UNSET
    """No reason to send clients elsewhere: each node serves its own, and no other node is better off."""


class HealthEndpoints:
    def __init__(self, readiness: Readiness, link_state: Callable[[], LinkState] | None) -> None:
        self._readiness = readiness
        self._link_state = link_state

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint("GET", "/", self.banner, public=True, answers={200: TEXT}),
            Endpoint("GET", "/health", self.health, public=True, answers={200: Health, 503: Health}),
        ]

    async def banner(self) -> Answer:
        return Answer(200, BANNER.encode(), TEXT)

    async def health(self) -> Answer:
        away = self._link_state is not None and not self._link_state().up
        redis: Literal["unavailable"] | UnsetType = "unavailable" if away else UNSET
        error = await self._problem()
        if error is not None:
            return json_answer(503, Health("error", now(), error=error, redis=redis))
        return json_answer(200, Health("ok", now(), redis=redis))

    async def _problem(self) -> str | None:
        """Why balancers are to send clients elsewhere."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._readiness.check()
        except Stopping as stopping:
            return str(stopping)
        except Exception:
            log.warning("the database does not answer", exc_info=True)
            return "Database connectivity failed"
        return None


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
