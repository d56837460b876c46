"""Sign-ins that all replicas remember, in Redis: a key each, which expires by itself."""

import asyncio

from redis.exceptions import ResponseError

from happy.adapters.full.redis.link import RedisLink
from happy.domain.errors import Unavailable


class RedisSignIns:
    """Implements `SharedSignIns` in one round trip: the second command reads what the first left there."""

    def __init__(self, link: RedisLink, prefix: str) -> None:
        self._link = link
        self._prefix = prefix

    async def first_address(self, digest: str, address: str, lifetime: int) -> str:
        key = f"{self._prefix}sign-in:{digest}"
        try:
            _, found = await asyncio.gather(
                self._link.execute("SET", key, address, "NX", "PX", lifetime), self._link.execute("GET", key)
            )
        except ResponseError as error:
            raise Unavailable(f"Redis has refused: {error}") from None
        return address if found is None else str(found, "utf-8")
