"""Barriers for replicas on one Redis: waiting until something has passed, instead of for a while."""

import secrets
from typing import Any

from happy.adapters.full.redis.link import RedisLink
from happy.adapters.full.redis.publish_intents import MISSED_CHECKS
from tests.contract.flavors import Replica
from tests.support.until import until


def link_of(replica: Replica) -> RedisLink:
    link: RedisLink = replica.bus._link  # type: ignore[attr-defined]
    return link


async def settled(*links: RedisLink) -> None:
    """All that was sent over these links is in Redis, and what Redis published has reached each of them."""
    for link in links:
        await link.execute("PING")
    for link in links:  # the confirmation comes behind what was published before
        channel = f"{link.prefix}barrier:{secrets.token_hex(4)}"
        await link.subscriptions.subscribe(channel)
        link.subscriptions.unsubscribe(channel)


async def checks_for_the_dead(replica: Replica, times: int = MISSED_CHECKS + 1) -> None:
    """So many more checks of the replica have ended: enough to find a replica dead that is gone by now."""
    intents: Any = replica.bus.intents  # type: ignore[attr-defined]
    check, ended = intents.tick, []

    async def tick(now: int) -> Any:
        found = await check(now)
        ended.append(now)
        return found

    intents.tick = tick
    try:
        await until(lambda: len(ended) >= times)
    finally:
        intents.tick = check
