"""The full server on an object store: where it sends clients, and what it leaves to the store."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from tests.contract.conftest import _empty
from tests.support.api_client import ApiClient
from tests.support.object_store import ObjectStore, form, full_settings
from tests.support.server_thread import serve_in_thread
from tests.support.until import until

pytestmark = pytest.mark.services
OCTETS = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def bucket(object_store: ObjectStore) -> str:
    return object_store.new_bucket()


@pytest.fixture(scope="module")
def server_url(migrated_postgres: str, object_store: ObjectStore, bucket: str) -> Iterator[str]:
    with serve_in_thread(full_settings(migrated_postgres, object_store.variables(bucket)), {}) as port:
        yield f"http://127.0.0.1:{port}"
    asyncio.run(_empty(migrated_postgres))


@pytest.fixture
async def api(server_url: str) -> AsyncIterator[ApiClient]:
    async with ApiClient.signed_in(server_url) as client:
        yield client


@pytest.fixture
async def session(api: ApiClient) -> str:
    return str((await api.create_session())["id"])


@pytest.fixture
async def browser() -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        yield client


async def uploaded(
    api: ApiClient, session: str, browser: httpx.AsyncClient, content: bytes
) -> dict[str, Any]:
    offered: dict[str, Any] = await api.post(
        f"/v1/sessions/{session}/attachments/request-upload", {"filename": "x", "size": len(content)}
    )
    await browser.post(offered["uploadUrl"], **form(offered["formFields"], content))
    return offered


async def test_a_file_is_uploaded_and_downloaded_directly(
    api: ApiClient, session: str, browser: httpx.AsyncClient, object_store: ObjectStore, bucket: str
) -> None:
    content = bytes(range(256))

    offered = await uploaded(api, session, browser, content)

    assert {"ref", "uploadUrl", "method", "formFields"} == set(offered)
    assert ("POST", f"{object_store.url}/{bucket}") == (offered["method"], offered["uploadUrl"])
    assert offered["ref"] == offered["formFields"]["key"]
    path = f"/v1/sessions/{session}/attachments/request-download"
    asked = await api.post(path, {"ref": offered["ref"]})
    assert content == (await browser.get(asked["downloadUrl"])).content


async def test_reading_a_file_is_redirected(api: ApiClient, session: str, browser: httpx.AsyncClient) -> None:
    offered = await uploaded(api, session, browser, b"sealed")

    answer = await api.request("GET", f"/v1/{offered['ref']}")

    assert (302, b"") == (answer.status_code, answer.content)
    assert b"sealed" == (await browser.get(answer.headers["location"])).content


async def test_nobody_else_is_sent_to_a_file(
    api: ApiClient, session: str, server_url: str, browser: httpx.AsyncClient
) -> None:
    offered = await uploaded(api, session, browser, b"sealed")

    async with ApiClient.signed_in(server_url) as stranger:
        assert {"error": "Session not found"} == await stranger.get(f"/v1/{offered['ref']}", expect=404)


@pytest.mark.parametrize("content", [b"x", bytes(10_485_761)])
async def test_nothing_is_uploaded_through_the_server(api: ApiClient, session: str, content: bytes) -> None:
    for name in (session, "none"):
        path = f"/v1/sessions/{name}/attachments/x.enc"
        answer = await api.request("PUT", path, content=content, headers=OCTETS)

        assert (404, {"error": "Direct upload not available in S3 mode"}) == (
            answer.status_code,
            answer.json(),
        )


async def test_local_files_are_an_unknown_route(api: ApiClient) -> None:
    unknown = await api.get("/files-of-nobody", expect=404)
    answer = await api.get("/files/public/a.jpg", expect=404)

    assert set(unknown) == set(answer)
    assert "/files/public/a.jpg" in str(answer)


async def test_files_go_with_their_session(
    api: ApiClient, session: str, browser: httpx.AsyncClient, object_store: ObjectStore, bucket: str
) -> None:
    offered = await uploaded(api, session, browser, b"sealed")
    assert offered["ref"] in object_store.keys(bucket)

    await api.delete(f"/v1/sessions/{session}")

    await until(lambda: offered["ref"] not in object_store.keys(bucket))  # it is deleted in the background
