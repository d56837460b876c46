"""Why an event did not reach a phone: answered from the logs and metrics of two replicas."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tests.support.api_client import ApiClient
from tests.support.cluster import Replica
from tests.support.databases import new_database
from tests.support.reconnecting_client import Device, contents
from tests.support.server_process import free_port
from tests.support.services import REDIS

pytestmark = [pytest.mark.slow, pytest.mark.services, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def verbose_replicas(tmp_path: Path) -> AsyncIterator[list[Replica]]:
    """Two replicas that log at debug level and serve their metrics."""
    async with new_database() as url:
        variables = {"DATABASE_URL": url, "REDIS_URL": REDIS, "HANDY_MASTER_SECRET": "a secret for tests"}
        variables |= {"HAPPY_LOG_LEVEL": "debug", "METRICS_ENABLED": "true"}
        replicas = [
            Replica(tmp_path / str(number), {**variables, "METRICS_PORT": str(free_port())})
            for number in range(2)
        ]
        try:
            await asyncio.gather(*(replica.start() for replica in replicas))
            yield replicas
        finally:
            for replica in replicas:
                replica.kill()


async def until_logged(replica: Replica, *parts: str) -> str:
    """The first line that has all of these parts."""
    async with asyncio.timeout(10):
        while True:
            for line in replica.log_text().splitlines():
                if all(part in line for part in parts):
                    return line
            await asyncio.sleep(0.02)


def value(line: str, name: str) -> str:
    return next(part.partition("=")[2] for part in line.split() if part.startswith(f"{name}="))


async def not_delivered(replica: Replica, reason: str) -> bool:
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"http://127.0.0.1:{replica.variables['METRICS_PORT']}/metrics")).text
    return any(
        line.startswith("realtime_not_delivered_total{") and f'reason="{reason}"' in line
        for line in text.splitlines()
    )


async def test_a_phone_that_moved_to_another_replica_and_a_phone_whose_token_is_unknown(
    verbose_replicas: list[Replica],
) -> None:
    one, other = verbose_replicas
    async with ApiClient.signed_in(one.url) as api:
        sid = (await api.create_session())["id"]
        async with Device.of(api) as phone:
            await phone.drop()
        await until_logged(one, "connection closed", f"connection={phone.id}")
        await api.post_messages(sid, ["missed"])
        missed = await until_logged(one, "update not delivered", "reason=no_connection")
        async with phone.again(at=other.url) as back:
            await back.next_event("update")
            assert ["missed"] == contents(back)
        line = await until_logged(other, "info", "client reconnected", f"connection={phone.id}")
        assert (value(line, "result"), value(line, "replayed")) == ("recovered", "1")
        assert value(line, "left") == value(missed, "replica") != value(line, "replica")
        assert value(line, "account") == value(missed, "account")

        async with back.again(at=one.url, pid="forged"):
            line = await until_logged(one, "info", "client reconnected", "result=unknown_token")
        assert (value(line, "left"), value(line, "replayed")) == ("unknown", "0")

    assert await not_delivered(one, "no_connection")
    assert await not_delivered(one, "unknown_token")
    assert not await not_delivered(other, "unknown_token")
