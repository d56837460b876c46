"""What an account sees that stores as much as it may (protocol: http#quotas)."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.http.test_metrics import sample
from tests.support.api_client import ApiClient
from tests.support.environments import Environment, OpenEnvironment
from tests.support.server_process import free_port
from tests.support.server_thread import RunningServer, run_server
from tests.support.until import until

NO_BYTES = "This account may store 20000 bytes. Delete sessions to make room"
OCTETS = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def server(open_environment: OpenEnvironment) -> Iterator[RunningServer]:
    quotas = {"HAPPY_QUOTAS": "bytes=20k,sessions=3,attachments=2"}
    with open_environment() as environment, run_server(environment, quotas) as running:
        yield running


async def post(api: ApiClient, session: str, text: str) -> httpx.Response:
    body = {"messages": [{"content": text, "localId": text[:20] + str(len(text))}]}
    return await api.request("POST", f"/v3/sessions/{session}/messages", json=body)


async def offer(api: ApiClient, session: str, size: int) -> httpx.Response:
    path = f"/v1/sessions/{session}/attachments/request-upload"
    return await api.request("POST", path, json={"filename": "x", "size": size})


async def upload(api: ApiClient, session: str, content: bytes) -> httpx.Response:
    offered: Any = (await offer(api, session, len(content))).json()
    return await api.request("PUT", offered["uploadUrl"], content=content, headers=OCTETS)


def refused(answer: httpx.Response, text: str) -> None:
    assert (507, {"error": text}) == (answer.status_code, answer.json())


async def test_an_account_could_make_sessions_without_an_end(api: ApiClient, stranger: ApiClient) -> None:
    sessions = [str((await api.create_session())["id"]) for _ in range(3)]
    body = {"tag": "one too many", "metadata": "m"}

    text = "This account may have 3 sessions. Delete some to make more"
    refused(await api.request("POST", "/v1/sessions", json=body), text)
    await stranger.create_session()
    await api.delete(f"/v1/sessions/{sessions[0]}")
    assert 200 == (await api.request("POST", "/v1/sessions", json=body)).status_code
    assert 200 == (await api.request("POST", "/v1/sessions", json=body)).status_code, (
        "one that exists is found"
    )


@pytest.mark.slow
async def test_an_account_could_fill_the_disk_with_messages(api: ApiClient) -> None:
    session, other = [str((await api.create_session())["id"]) for _ in range(2)]
    assert 200 == (await post(api, session, "x" * 19_000)).status_code

    refusal = await until(lambda: _refusal(api, other))
    refused(refusal, NO_BYTES)
    async with api.user_socket() as socket:
        answer = await socket.call("message", {"sid": other, "message": "y" * 2_000})
    assert {"ok": False, "error": NO_BYTES} == answer
    await api.delete(f"/v1/sessions/{session}")
    await until(lambda: _is_stored(api, other))


async def _refusal(api: ApiClient, session: str) -> httpx.Response | None:
    """It is known some seconds later how much an account stores: until then it may store more."""
    answer = await post(api, session, "y" * 2_000)
    return answer if answer.status_code == 507 else None


async def _is_stored(api: ApiClient, session: str) -> bool:
    return (await post(api, session, "z" * 3_000)).status_code == 200


async def test_attachments_of_an_account_are_counted(api: ApiClient) -> None:
    session = str((await api.create_session())["id"])
    for _ in range(2):
        assert 200 == (await upload(api, session, b"hello")).status_code

    refused(
        await offer(api, session, 5), "This account may store 2 attachments. Delete sessions to make room"
    )


async def test_bytes_of_attachments_count_too(api: ApiClient) -> None:
    session = str((await api.create_session())["id"])
    refused(
        await offer(api, session, 20_001), "This account may store 20000 bytes. Delete sessions to make room"
    )
    assert 200 == (await upload(api, session, bytes(19_999))).status_code

    refused(await offer(api, session, 2), NO_BYTES)


async def test_a_refusal_is_counted_and_a_line_in_the_log(
    environment: Environment, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    variables = {"HAPPY_QUOTAS": "sessions=1", "METRICS_ENABLED": "true", "METRICS_PORT": str(port)}
    with caplog.at_level("INFO", "happy"), run_server(environment, variables) as server:
        async with ApiClient.signed_in(server.url) as api, ApiClient(f"http://127.0.0.1:{port}") as scraping:
            await api.create_session()
            await api.post("/v1/sessions", {"tag": "x", "metadata": "m"}, expect=507)
            account = (await api.get("/v1/account/profile"))["id"]
            text = (await scraping.request("GET", "/metrics")).text

    assert f"an account has used up its quota: sessions, account {account}" in caplog.messages
    assert 1 == sample(text, "quotas_exceeded_total", quota="sessions")
