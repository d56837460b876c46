"""Refuses a sign-in that was seen before from another address (protocol: http#post-v1auth).

Clients choose the challenge that they sign, and there is no server nonce. So whoever reads a sign-in on its
way could send it again, and get a token of his own.
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict

from happy.domain.errors import Unauthenticated, Unavailable
from happy.domain.ports.clock import Elapsed
from happy.domain.ports.sign_ins import SharedSignIns
from happy.domain.values import MINUTE
from happy.limits import limit
from happy.metrics import Counter
from happy.telemetry import LimitedLog

LIFETIME = 10 * MINUTE
"""In ms. A later replay is new: the address of its client may have changed hands meanwhile."""

SHARED_SECONDS = 0.5
"""How long the other replicas may be waited for; without them each one remembers its own."""

DIGEST_DIGITS = 32

MAX_REMEMBERED = limit(
    20_000,
    "sign-ins of the last 10 minutes that are remembered",
    per="replica",
    then="the oldest are forgotten",
)
LINES_A_MINUTE = 10
REPLAYED = "Sign-in was used before, from another address"

log = logging.getLogger(__name__)


class Replays:
    """Remembers where sign-ins came from, in bounded memory, and with other replicas if there are any.

    The same client may repeat itself: after a lost answer some HTTP clients do so by themselves.
    """

    def __init__(self, elapsed: Elapsed, shared: SharedSignIns | None, refused: Counter) -> None:
        self._elapsed = elapsed
        self._shared = shared
        self._refused = refused
        self._log = LimitedLog(
            log, "refused a sign-in that was seen before from another address", burst=LINES_A_MINUTE
        )
        self._seen: OrderedDict[str, tuple[str, int]] = OrderedDict()

    async def check(self, public_key: bytes, challenge: bytes, address: str) -> None:
        """To be called with a sign-in that verifies. Raises Unauthenticated for a replay.

        `address` is empty where a proxy does not name its client: clients cannot be distinguished then.
        """
        if not address:
            return
        digest = hashlib.sha256(public_key + challenge).hexdigest()[:DIGEST_DIGITS]
        if await self._first_address(digest, address) != address:
            self._refused.add()
            self._log(f"from {address}")
            raise Unauthenticated(REPLAYED)

    async def _first_address(self, digest: str, address: str) -> str:
        first, until = self._first_here(digest, address)
        if first != address or self._shared is None:
            return first
        try:
            async with asyncio.timeout(SHARED_SECONDS):
                first = await self._shared.first_address(digest, address, LIFETIME)
        except (Unavailable, TimeoutError):
            return first
        if digest in self._seen:  # what another replica saw first counts here as well
            self._seen[digest] = first, until
        return first

    def _first_here(self, digest: str, address: str) -> tuple[str, int]:
        now = self._elapsed()
        while self._seen and (len(self._seen) >= MAX_REMEMBERED or self._oldest_until() <= now):
            self._seen.popitem(last=False)
        return self._seen.setdefault(digest, (address, now + LIFETIME))

    def _oldest_until(self) -> int:
        return next(iter(self._seen.values()))[1]
