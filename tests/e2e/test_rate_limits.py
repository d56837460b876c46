"""Limits that hold for whole servers: connections of an address, and what replicas count together."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from nacl.signing import SigningKey

from tests.http.test_metrics import sample
from tests.support.api_client import ApiClient, sign_in_body
from tests.support.cluster import Replica, cluster
from tests.support.environments import Environment
from tests.support.server_process import Server, free_port
from tests.support.socket_client import PATH

pytestmark = pytest.mark.slow

PHONE, LAPTOP, STRANGER = (
    {"X-Forwarded-For": f"2001:db8:{os.urandom(2).hex()}:{os.urandom(2).hex()}::1"} for _ in range(3)
)
"""Others each run: limits last for an hour in the Redis that tests share."""


async def connect(url: str, headers: dict[str, str], answers: list[Any] | None = None) -> int:
    """The status with which a handshake is answered; 101 is a connection. `answers` gets refusals."""
    try:
        async with websockets.connect(
            url.replace("http", "ws", 1) + PATH, additional_headers=headers, proxy=None
        ):
            return 101
    except websockets.exceptions.InvalidStatus as refused:
        if answers is not None:
            answers.append(refused.response)
        return refused.response.status_code


async def test_an_address_could_open_connections_as_fast_as_the_machine_allows(
    environment: Environment, tmp_path: Path
) -> None:
    metrics_port = free_port()
    variables = {
        **environment.variables,
        "HAPPY_RATE_LIMITS": "connects=5/h",
        "METRICS_ENABLED": "true",
        "METRICS_PORT": str(metrics_port),
    }
    async with Server(tmp_path / "home", flavor=environment.flavor, variables=variables) as server:
        answers = list[Any]()
        assert [101] * 5 + [429] * 2 == [await connect(server.url, PHONE, answers) for _ in range(7)]
        polling = f"{server.url}/v1/updates/?EIO=4&transport=polling"
        async with httpx.AsyncClient(trust_env=False, verify=False) as http:
            refused = await http.get(polling, headers=PHONE)
            assert (429, "Too many connects. Try again in") == (refused.status_code, refused.text[:31])
            assert 200 == (await http.get(polling, headers=LAPTOP)).status_code
            metrics = (await http.get(f"http://127.0.0.1:{metrics_port}/metrics")).text
        assert [101] * 10 == [await connect(server.url, {}) for _ in range(10)]
        log = server.log.read_text()

    assert all(0 < int(answer.headers["retry-after"]) <= 720 for answer in (*answers, refused))
    assert 3 == sample(metrics, "rate_limited_requests_total", kind="connects")
    assert "too many connects: of 2001:db8:" in log
    assert "reverse proxy" not in log


@pytest.fixture
async def replicas(tmp_path: Path) -> AsyncIterator[list[Replica]]:
    variables = {"HAPPY_RATE_LIMITS": "accounts=6/h,messages=80/h"}
    async with cluster(tmp_path, 2, variables=variables) as running:
        yield running


@pytest.mark.services
async def test_replicas_count_together(replicas: list[Replica]) -> None:
    """In turns at either of them: new accounts exactly, messages within an eighth for each replica."""
    statuses = []
    async with httpx.AsyncClient(trust_env=False, verify=False, headers=STRANGER) as http:
        for number in range(10):
            url = replicas[number % 2].url
            answer = await http.post(f"{url}/v1/auth", json=sign_in_body(SigningKey.generate()))
            statuses.append(answer.status_code)
        assert [200] * 6 + [429] * 4 == statuses

    async with ApiClient.signed_in(replicas[0].url) as api:
        api.http.headers.update(PHONE)
        session = str((await api.create_session())["id"])
        stored = 0
        for number in range(160):
            body = {"messages": [{"content": "x", "localId": str(number)}]}
            url = f"{replicas[number % 2].url}/v3/sessions/{session}/messages"
            stored += (await api.request("POST", url, json=body)).status_code == 200
            await asyncio.sleep(0)
    assert 80 <= stored <= 80 + 2 * 80 / 8 + 2
