"""The usage page of an account with many reports, and of one whose client reported very many names."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from happy.settings import load
from schema.tables import usage_reports
from tests.support.api_client import ApiClient
from tests.support.rows import open_rows
from tests.support.server_process import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")
CPU_SECONDS = 1.0
"""Adding up what was read takes six times as long."""


def cpu_seconds(server: Server) -> float:
    """What the server process has used so far."""
    assert server.process is not None
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def store_reports(server: Server, account_id: str, documents: list[str]) -> None:
    """As an earlier version stored them, which took any."""
    now = 1_700_000_000_000
    settings = load({"METRICS_ENABLED": "false", **server.variables}, flavor=server.flavor)
    async with open_rows(settings) as rows:
        for number, document in enumerate(documents):
            report = {"id": f"report{number}", "key": f"key{number}", "account_id": account_id}
            times = {"created_at": now, "updated_at": now}
            await rows(sa.insert(usage_reports).values(**report, **times, data=document))


async def account_of(api: ApiClient) -> str:
    profile: dict[str, Any] = await api.get("/v1/account/profile")
    return str(profile["id"])


async def test_reports_with_very_many_names_took_seconds_to_sum_up(own_server: Server) -> None:
    names = {f"name {number}": 1 for number in range(200_000)}
    document = json.dumps({"tokens": names, "cost": {"total": 1}})
    async with ApiClient.signed_in(own_server.url) as api:
        await store_reports(own_server, await account_of(api), [document] * 8)
        before = cpu_seconds(own_server)
        answer = await api.post("/v1/usage/query")
        spent = cpu_seconds(own_server) - before

    assert 8 == answer["totalReports"]
    assert spent < CPU_SECONDS


async def test_the_usage_page_of_many_reports_is_the_work_of_the_database(own_server: Server) -> None:
    document = json.dumps({"tokens": {"total": 12, "input": 5}, "cost": {"total": 0.5}})
    async with ApiClient.signed_in(own_server.url) as api:
        await store_reports(own_server, await account_of(api), [document] * 1_500)
        (bucket,) = (await api.post("/v1/usage/query"))["usage"]

    assert {
        "timestamp": 1_699_920_000,
        "tokens": {"total": 18_000, "input": 7_500},
        "cost": {"total": 750},
        "reportCount": 1_500,
    } == bucket
