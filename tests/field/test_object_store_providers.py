"""Object stores as providers offer them, with a full server and what clients do with its answers."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from happy.cli.main import run
from tests.support.api_client import ApiClient
from tests.support.environments import Environment, full_environment
from tests.support.object_store import ObjectStore, run_object_store
from tests.support.server_process import Server, free_port

pytestmark = [pytest.mark.slow, pytest.mark.services]
CONTENT = bytes(range(256)) * 40


@pytest.fixture
def object_store() -> Iterator[ObjectStore]:
    with run_object_store() as running:
        yield running


@pytest.fixture
def environment(postgres_template: str, tmp_path: Path) -> Iterator[Environment]:
    with full_environment(tmp_path / "data", postgres_template) as made:
        yield made


@pytest.fixture
async def api(
    environment: Environment, object_store: ObjectStore, tmp_path: Path
) -> AsyncIterator[ApiClient]:
    """Of a server on a store that takes no forms, among variables of other programs."""
    object_store.provider.forms = False
    bucket = object_store.variables(object_store.new_bucket())
    others = {"AWS_PROFILE": "none-such", "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_CA_BUNDLE": "/none"}
    variables = {**environment.variables, **bucket, **others}
    async with (
        Server(tmp_path / "home", flavor="full", variables=variables) as server,
        ApiClient.signed_in(server.url) as client,
    ):
        assert "uploads=PUT" in server.log_text()
        yield client


async def upload(api: ApiClient, offered: dict[str, Any]) -> int:
    """As the published clients do, which send their token to this server alone."""
    headers = {"Content-Type": "application/octet-stream"}
    if offered["uploadUrl"].startswith(api.url):
        headers["Authorization"] = f"Bearer {api.token}"
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        answer = await client.put(offered["uploadUrl"], content=CONTENT, headers=headers)
    return answer.status_code


async def test_attachments_failed_on_a_provider_without_form_posts(api: ApiClient) -> None:
    session = (await api.create_session())["id"]
    path = f"/v1/sessions/{session}/attachments"
    offered = await api.post(f"{path}/request-upload", {"filename": "x", "size": len(CONTENT)})

    assert {"ref", "uploadUrl", "method"} == set(offered)
    assert ("PUT", 200) == (offered["method"], await upload(api, offered))
    asked = await api.post(f"{path}/request-download", {"ref": offered["ref"]})
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        assert CONTENT == (await client.get(asked["downloadUrl"])).content


async def test_an_aws_profile_of_another_program_stopped_the_start(api: ApiClient) -> None:
    assert "ok" == (await api.get("/health"))["status"]


async def test_a_key_that_may_not_write_showed_in_the_first_upload(
    environment: Environment, object_store: ObjectStore, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket = object_store.new_bucket()
    object_store.provider.denied = frozenset({"write"})
    variables = {**environment.variables, **object_store.variables(bucket), "PORT": str(free_port())}

    assert 1 == await asyncio.to_thread(run, ["serve"], {**variables, "METRICS_ENABLED": "false"})

    error = capsys.readouterr().err
    assert error.startswith("happy-server: S3_ACCESS_KEY and S3_SECRET_KEY may not write in the bucket ")
    assert 1 == error.count("\n")
