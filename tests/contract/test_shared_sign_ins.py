"""Sign-ins that replicas remember together, in Redis."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest

from happy.adapters.full.redis.client import open_redis
from happy.domain.ports.sign_ins import SharedSignIns
from happy.domain.values import ReplicaId
from tests.support.services import REDIS
from tests.support.until import until

pytestmark = pytest.mark.services
FRIEND, STRANGER = "203.0.113.7", "2001:db8:1:2::/64"


def new_replica() -> ReplicaId:
    return ReplicaId(secrets.token_hex(8))


@pytest.fixture
async def pair() -> AsyncIterator[tuple[SharedSignIns, SharedSignIns]]:
    async with open_redis(REDIS, new_replica()) as one, open_redis(REDIS, new_replica()) as other:
        yield one.sign_ins, other.sign_ins


async def test_the_first_address_counts_at_every_replica(pair: tuple[SharedSignIns, SharedSignIns]) -> None:
    one, other = pair
    digest = secrets.token_hex(16)

    assert STRANGER == await one.first_address(digest, STRANGER, 60_000)
    assert STRANGER == await other.first_address(digest, FRIEND, 60_000)
    assert FRIEND == await other.first_address(secrets.token_hex(16), FRIEND, 60_000)


async def test_of_two_at_once_both_replicas_name_the_same(pair: tuple[SharedSignIns, SharedSignIns]) -> None:
    one, other = pair
    for _ in range(20):
        digest = secrets.token_hex(16)
        found = await asyncio.gather(
            one.first_address(digest, FRIEND, 60_000), other.first_address(digest, STRANGER, 60_000)
        )
        assert 1 == len(set(found))


async def test_it_is_forgotten_after_its_lifetime(pair: tuple[SharedSignIns, SharedSignIns]) -> None:
    one, other = pair
    digest = secrets.token_hex(16)
    await one.first_address(digest, FRIEND, 1)

    async def is_new() -> bool:
        return STRANGER == await other.first_address(digest, STRANGER, 60_000)

    await until(is_new)
