"""Usage reports over sockets and their sums over HTTP.

protocol: realtime#usage-reports, http#post-v1usagequery
"""

import time
from typing import Any

import pytest

from tests.support.api_client import ApiClient

TOKENS = {"total": 12, "input": 5, "output": 7, "cache_creation": 0, "cache_read": 0}
MANY = {"total": 1, **{f"name {number}": 1 for number in range(64)}}
COST = {"total": 0.5, "input": 0.2, "output": 0.3}


def report(session_id: str | None = None, **changed: Any) -> dict[str, Any]:
    return {"key": "claude", "sessionId": session_id, "tokens": TOKENS, "cost": COST, **changed}


async def sums(api: ApiClient, **query: Any) -> Any:
    return await api.post("/v1/usage/query", query)


async def test_a_report_is_acknowledged_announced_and_summed_up(api: ApiClient) -> None:
    session = (await api.create_session())["id"]
    async with api.user_socket() as phone, api.session_socket(session) as agent:
        answer = await agent.call("usage-report", report(session))
        event = await phone.next_event("ephemeral")

    assert {"success", "reportId", "createdAt", "updatedAt"} == set(answer)
    assert answer["success"] is True
    assert {
        "type": "usage",
        "id": session,
        "key": "claude",
        "tokens": TOKENS,
        "cost": COST,
        "timestamp": event.payload["timestamp"],
    } == event.payload
    day = answer["createdAt"] // 86_400_000 * 86_400
    bucket = {"timestamp": day, "tokens": TOKENS, "cost": COST, "reportCount": 1}
    assert {"usage": [bucket], "groupBy": "day", "totalReports": 1} == await sums(api)


async def test_a_usage_report_replaces_the_one_before_it(api: ApiClient) -> None:
    session = (await api.create_session())["id"]
    async with api.session_socket(session) as agent:
        first = await agent.call("usage-report", report(session))
        second = await agent.call("usage-report", report(session, tokens={"total": 40}))

    assert first["reportId"] == second["reportId"]
    assert first["createdAt"] == second["createdAt"]
    assert {"total": 40} == (await sums(api))["usage"][0]["tokens"]


@pytest.mark.parametrize("nothing", [None, ""])
async def test_a_report_without_a_session_always_failed(api: ApiClient, nothing: str | None) -> None:
    async with api.user_socket() as phone:
        first = await phone.call("usage-report", report(nothing))
        second = await phone.call("usage-report", report(nothing))

    assert first["success"] is True
    assert first["reportId"] == second["reportId"]
    assert 1 == (await sums(api))["totalReports"]


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (report(key=""), "Invalid key"),
        (report(key=5), "Invalid key"),
        (report(tokens={}), "Invalid tokens object - must include total"),
        (report(tokens=None), "Invalid tokens object - must include total"),
        (report(cost={"total": "1"}), "Invalid cost object - must include total"),
        (report(sessionId=5), "Invalid sessionId"),
        (report(tokens=MANY), "Invalid tokens object - at most 64 names of 64 characters"),
        (report(cost={"total": 1, "n" * 65: 1}), "Invalid cost object - at most 64 names of 64 characters"),
        (report("none"), "Session not found"),
        (None, "Internal error"),
    ],
)
async def test_what_is_wrong_with_a_report_is_said(api: ApiClient, payload: Any, error: str) -> None:
    async with api.user_socket() as phone:
        assert {"success": False, "error": error} == await phone.call("usage-report", payload)


async def test_sums_are_of_one_session_and_the_requested_time(api: ApiClient, stranger: ApiClient) -> None:
    one, other = (await api.create_session())["id"], (await api.create_session())["id"]
    async with api.user_socket() as phone:
        await phone.call("usage-report", report(one))
        await phone.call("usage-report", report(other, tokens={"total": 1, "odd": 2.5}))
    now = int(time.time())

    of_one = await sums(api, sessionId=one, groupBy="hour")
    assert ("hour", 1, 12) == (
        of_one["groupBy"],
        of_one["totalReports"],
        of_one["usage"][0]["tokens"]["total"],
    )
    assert 13 == (await sums(api))["usage"][0]["tokens"]["total"]
    assert 2 == (await sums(api, startTime=now - 60, endTime=now + 60))["totalReports"]
    assert 0 == (await sums(api, startTime=now + 60))["totalReports"]
    assert {"error": "Session not found"} == await stranger.post(
        "/v1/usage/query", {"sessionId": one}, expect=404
    )


@pytest.mark.parametrize(
    "query", [{"startTime": 0}, {"endTime": 1e30}, {"groupBy": "week"}, {"startTime": "now"}]
)
async def test_invalid_queries_are_refused(api: ApiClient, query: dict[str, Any]) -> None:
    await api.post("/v1/usage/query", query, expect=400)
