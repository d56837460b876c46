"""What a replica says of itself while Redis is away: it goes on, and operators can see that it is alone."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.support.api_client import ApiClient
from tests.support.cluster import Replica, cluster
from tests.support.redis_server import OwnRedis, own_redis
from tests.support.server_process import free_port
from tests.support.until import until

pytestmark = pytest.mark.services
AWAY = {"status": "ok", "service": "happy-server", "redis": "unavailable"}


class Watched:
    """A replica, its Redis, and both of its ports as operators see them."""

    def __init__(self, replica: Replica, redis: OwnRedis, metrics_port: int) -> None:
        self.replica = replica
        self.redis = redis
        self._metrics = f"http://127.0.0.1:{metrics_port}/metrics"

    async def health(self) -> dict[str, str]:
        async with ApiClient(self.replica.url) as api:
            health: dict[str, str] = await api.get("/health")
        assert health.pop("timestamp")
        return health

    async def metric(self, name: str) -> float | None:
        async with httpx.AsyncClient(trust_env=False, verify=False) as client:
            text = (await client.get(self._metrics)).text
        found = re.search(rf'^{name}{{app="happy-server"}} (\S+)$', text, re.MULTILINE)
        return float(found[1]) if found else None

    async def until_health_is(self, expected: dict[str, str]) -> None:
        async def is_as_expected() -> bool:
            return await self.health() == expected

        await until(is_as_expected)

    async def until_lag_exceeds(self, millis: float) -> None:
        async def is_longer() -> bool:
            return (await self.metric("redis_stream_lag_ms") or 0) > millis

        await until(is_longer)


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    port = free_port()
    variables = {"METRICS_ENABLED": "true", "METRICS_PORT": str(port)}
    with own_redis(tmp_path) as redis:
        async with cluster(tmp_path, 1, redis=redis.url, variables=variables) as (replica,):
            yield Watched(replica, redis, port)


async def test_a_replica_without_redis_is_healthy_and_reports_it(watched: Watched) -> None:
    well = {"status": "ok", "service": "happy-server"}
    assert well == await watched.health()
    assert 1 == await watched.metric("redis_link_up")
    assert (await watched.metric("redis_stream_lag_ms") or 0) < 1000
    assert 0 == await watched.metric("redis_link_breaks_total")

    watched.redis.stop()
    await watched.until_health_is(AWAY)
    assert 0 == await watched.metric("redis_link_up")
    await watched.until_lag_exceeds(400)
    async with ApiClient.signed_in(watched.replica.url) as api, api.user_socket() as phone:
        session = str((await api.create_session())["id"])
        await api.post_messages(session, ["alone"])
        await phone.next_update("new-message")

    watched.redis.start()
    await watched.until_health_is(well)
    assert 1 == await watched.metric("redis_link_up")
    assert 1 == await watched.metric("redis_link_breaks_total")


@pytest.mark.slow
async def test_the_age_of_what_a_silent_redis_has_not_confirmed_grows(watched: Watched) -> None:
    watched.redis.pause()
    try:
        await watched.until_lag_exceeds(1000)
        assert 1 == await watched.metric("redis_link_up")
    finally:
        watched.redis.resume()


@pytest.mark.slow
async def test_one_server_without_redis_has_no_link_to_tell_of(tmp_path: Path) -> None:
    port = free_port()
    variables = {"METRICS_ENABLED": "true", "METRICS_PORT": str(port)}
    async with cluster(tmp_path, 1, redis="", variables=variables) as (replica,):
        alone = Watched(replica, OwnRedis(tmp_path), port)

        assert await alone.metric("redis_link_up") is None
        assert "redis" not in await alone.health()
