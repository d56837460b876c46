"""Defects of the reference server, by the rows of docs/defects.md, that no other file tests."""

import logging
import time
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest

from happy import jobs as background_jobs
from tests.http.conftest import Raw
from tests.support.api_client import ApiClient

COMMON = {"error": "Error", "statusCode": 400}


@pytest.fixture
def east_of_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "Asia/Kathmandu")
        time.tzset()
        yield
    time.tzset()


async def test_a9_tokens_once_seen_were_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: dict[str, tuple[float, Any]] = {}

    def remember(name: str, seconds: float, job: Any, **_: Any) -> None:
        jobs[name] = (seconds, job)

    services = MagicMock()
    monkeypatch.setattr(background_jobs, "repeat", remember)
    background_jobs.background(MagicMock(), MagicMock(), services, MagicMock())

    assert (600, services.identity.purge) == jobs["delete old tokens from the cache"]


async def test_b9_what_was_sent_to_unknown_routes_was_logged(
    raw: Raw, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    headers = {"Authorization": "Bearer TopSecretToken", "X-Secret": "TopSecretHeader"}
    json = {"Content-Type": "application/json"}
    for method, path, more, body in (
        ("GET", "/v1/unknown?publicKey=TopSecretKey", {}, None),
        ("POST", "/v1/unknown", json, b'{"secret": "TopSecretBody"'),
        ("POST", "/v1/auth/request", json, b'{"publicKey": "TopSecretKey"}'),
        ("POST", "/v1/auth/request", json, b'{"publicKey": "TopSecretKey'),
        ("GET", "/v1/auth/request/status?publicKey=TopSecretKey", {}, None),
        ("GET", "/v1/connect/github/callback?code=TopSecretCode&state=TopSecretState", {}, None),
        ("GET", "/v1/sessions", {}, None),
    ):
        await raw(method, path, {**headers, **more}, body)

    logged = [record.getMessage() for record in caplog.records if record.name.startswith("happy")]

    assert [] == [line for line in logged if "TopSecret" in line]


@pytest.mark.usefixtures("east_of_greenwich")
async def test_d3_hours_and_days_began_where_the_server_stood(api: ApiClient) -> None:
    async with api.user_socket() as phone:
        report = {"key": "claude", "tokens": {"total": 1}, "cost": {"total": 1}}
        created = (await phone.call("usage-report", report))["createdAt"]

    for grouping, length in (("day", 86_400), ("hour", 3_600)):
        (bucket,) = (await api.post("/v1/usage/query", {"groupBy": grouping}))["usage"]
        assert created // 1000 // length * length == bucket["timestamp"]


async def test_f2_some_refusals_had_lost_half_of_their_body(api: ApiClient) -> None:
    session = (await api.create_session())["id"]
    refused = await api.post(f"/v1/sessions/{session}/attachments/request-download", {"ref": 5}, expect=400)

    assert COMMON == {name: refused[name] for name in COMMON}
    assert "body/ref Invalid input: expected string, received number" == refused["message"]
