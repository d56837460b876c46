"""Attachments through the server (protocol: http#attachments)."""

import uuid
from typing import Any

import pytest

from happy.domain.attachments import MAX_BYTES
from tests.support.api_client import ApiClient
from tests.support.environments import Environment
from tests.support.server_thread import RunningServer, run_server
from tests.support.until import until

OCTETS = {"Content-Type": "application/octet-stream"}
SESSION_MISSING = {"error": "Session not found"}


@pytest.fixture
async def session(api: ApiClient) -> str:
    return str((await api.create_session())["id"])


async def offer(api: ApiClient, session: str, size: float = 5, expect: int = 200) -> Any:
    path = f"/v1/sessions/{session}/attachments/request-upload"
    return await api.post(path, {"filename": "x.png", "size": size}, expect=expect)


async def put(api: ApiClient, url: str, content: bytes, **headers: str) -> Any:
    return await api.request("PUT", url, content=content, headers={**OCTETS, **headers})


async def stored(api: ApiClient, session: str, content: bytes = b"hello") -> dict[str, Any]:
    """Upload a file as a client does; the offer with the download address."""
    offered: dict[str, Any] = await offer(api, session)
    assert 200 == (await put(api, offered["uploadUrl"], content)).status_code
    path = f"/v1/sessions/{session}/attachments/request-download"
    return offered | await api.post(path, {"ref": offered["ref"]})


async def test_a_file_goes_up_and_comes_down_as_it_was(
    api: ApiClient, session: str, server: RunningServer
) -> None:
    offered = await offer(api, session)
    name = offered["ref"].removeprefix(f"sessions/{session}/attachments/")
    address = f"{server.url}/v1/sessions/{session}/attachments/{name}"
    assert {"ref": offered["ref"], "uploadUrl": address, "method": "PUT"} == offered
    assert name.endswith(".enc")
    assert 4 == uuid.UUID(name.removesuffix(".enc")).version

    content = bytes(range(256)) * 4096
    answer = await put(api, address, content)
    assert (200, {"ok": True}) == (answer.status_code, answer.json())

    path = f"/v1/sessions/{session}/attachments/request-download"
    assert {"downloadUrl": address} == await api.post(path, {"ref": offered["ref"]})
    fetched = await api.request("GET", address)
    assert (200, content) == (fetched.status_code, fetched.content)
    assert "application/octet-stream" == fetched.headers["content-type"]
    assert str(len(content)) == fetched.headers["content-length"]


async def test_an_address_is_made_from_the_name_the_client_used(api: ApiClient, session: str) -> None:
    headers = {"X-Forwarded-Proto": "https, http", "X-Forwarded-Host": "happy.example, inner"}
    path = f"/v1/sessions/{session}/attachments/request-upload"

    answer = await api.request("POST", path, json={"filename": "x", "size": 1}, headers=headers)

    assert answer.json()["uploadUrl"].startswith("https://happy.example/v1/sessions/")


async def test_anybody_could_have_addresses_made_from_his_headers(environment: Environment) -> None:
    forwarding = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil"}
    with run_server(environment, {"HAPPY_TRUSTED_PROXIES": "none"}) as server:
        async with ApiClient.signed_in(server.url) as api:
            session = str((await api.create_session())["id"])
            path = f"/v1/sessions/{session}/attachments/request-upload"
            answer = await api.request("POST", path, json={"filename": "x", "size": 1}, headers=forwarding)

        assert answer.json()["uploadUrl"].startswith(f"{server.url}/v1/sessions/")


@pytest.mark.parametrize(
    ("asked", "expected", "content_range"),
    [
        ("bytes=0-1", b"he", "bytes 0-1/5"),
        ("bytes=3-", b"lo", "bytes 3-4/5"),
        ("bytes=-2", b"lo", "bytes 3-4/5"),
        ("bytes=1-99", b"ello", "bytes 1-4/5"),
    ],
)
async def test_part_of_a_file_can_be_fetched(
    api: ApiClient, session: str, asked: str, expected: bytes, content_range: str
) -> None:
    file = await stored(api, session)

    part = await api.request("GET", file["downloadUrl"], headers={"Range": asked})

    assert (206, expected) == (part.status_code, part.content)
    assert content_range == part.headers["content-range"]


async def test_a_range_beyond_the_end_is_refused(api: ApiClient, session: str) -> None:
    file = await stored(api, session)

    answer = await api.request("GET", file["downloadUrl"], headers={"Range": "bytes=5-"})

    assert (416, "bytes */5") == (answer.status_code, answer.headers["content-range"])


async def test_nobody_else_reaches_a_file(api: ApiClient, stranger: ApiClient, session: str) -> None:
    file = await stored(api, session)
    path = f"/v1/sessions/{session}/attachments"

    assert SESSION_MISSING == await stranger.get(file["downloadUrl"], expect=404)
    assert 404 == (await put(stranger, file["uploadUrl"], b"x")).status_code
    assert SESSION_MISSING == await offer(stranger, session, expect=404)
    assert SESSION_MISSING == await stranger.post(
        f"{path}/request-download", {"ref": file["ref"]}, expect=404
    )
    assert 404 == (await stranger.request("GET", f"/files/{file['ref']}")).status_code


@pytest.mark.parametrize(
    ("ref", "error"),
    [
        ("sessions/other/attachments/x", "Ref does not belong to this session"),
        ("", "Ref does not belong to this session"),
        ("sessions/{}/attachments/", "Invalid attachment ref"),
        ("sessions/{}/attachments/a/b", "Invalid attachment ref"),
        ("sessions/{}/attachments/..", "Invalid attachment ref"),
        ("sessions/{}/attachments/" + "x" * 501, "Invalid attachment ref"),
    ],
)
async def test_a_reference_must_belong_to_its_session(
    api: ApiClient, session: str, ref: str, error: str
) -> None:
    path = f"/v1/sessions/{session}/attachments/request-download"

    assert {"error": error} == await api.post(path, {"ref": ref.format(session)}, expect=400)


async def test_a_file_that_was_never_uploaded_is_missing(api: ApiClient, session: str) -> None:
    offered = await offer(api, session)

    assert {"error": "Attachment not found"} == await api.get(offered["uploadUrl"], expect=404)


@pytest.mark.parametrize("name", ["anything.enc", "a%2Fb", "..", f"{uuid.UUID(int=0, version=4)}.enc"])
async def test_any_name_could_be_written(api: ApiClient, session: str, name: str) -> None:
    answer = await put(api, f"/v1/sessions/{session}/attachments/{name}", b"x")

    assert 404 == answer.status_code


async def test_a_name_is_good_for_its_own_session_only(api: ApiClient, session: str) -> None:
    name = (await offer(api, session))["ref"].rpartition("/")[2]
    other = (await api.create_session())["id"]

    answer = await put(api, f"/v1/sessions/{other}/attachments/{name}", b"x")

    assert (404, {"error": "Invalid attachment file"}) == (answer.status_code, answer.json())


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", ""])
async def test_other_types_were_stored_or_failed(api: ApiClient, session: str, media_type: str) -> None:
    offered = await offer(api, session)

    answer = await put(api, offered["uploadUrl"], b"{}", **{"Content-Type": media_type})

    assert 400 == answer.status_code


async def test_a_declared_size_over_the_limit_was_a_validation_error(api: ApiClient, session: str) -> None:
    answer = await offer(api, session, MAX_BYTES + 1, expect=413)

    assert {"error": "File too large (max 10MB)"} == answer
    await offer(api, session, MAX_BYTES)
    await offer(api, session, -1.5)


async def test_a_file_over_the_limit_is_refused_and_leaves_nothing(api: ApiClient, session: str) -> None:
    offered = await offer(api, session)

    async def endless() -> Any:
        for _ in range(11):
            yield bytes(1024 * 1024)

    announced = await put(api, offered["uploadUrl"], bytes(MAX_BYTES + 1))
    chunked = await api.request("PUT", offered["uploadUrl"], content=endless(), headers=OCTETS)

    for answer in (announced, chunked):
        assert (413, {"error": "File too large (max 10MB)"}) == (answer.status_code, answer.json())
    await api.get(offered["uploadUrl"], expect=404)


async def test_the_largest_and_the_empty_file_are_stored(api: ApiClient, session: str) -> None:
    for content in (bytes(MAX_BYTES), b""):
        file = await stored(api, session, content)

        assert content == (await api.request("GET", file["downloadUrl"])).content


async def test_more_than_sixty_requests_in_a_minute_are_too_many(
    api: ApiClient, stranger: ApiClient, session: str
) -> None:
    """One more is allowed every second, which a busy machine may take for one of them."""
    path = "/v1/sessions/none/attachments/request-upload"
    allowed = 0
    while (answer := await api.request("POST", path, json={"filename": "x", "size": 1})).status_code != 429:
        allowed += 1

    assert {"error": "Too many upload requests. Try again in a minute."} == answer.json()
    assert allowed >= 60
    await offer(stranger, (await stranger.create_session())["id"])


async def test_files_go_with_their_session(api: ApiClient, session: str, server: RunningServer) -> None:
    file = await stored(api, session)
    on_disk = server.files / file["ref"]
    assert on_disk.is_file()

    await api.delete(f"/v1/sessions/{session}")

    await api.get(f"/v1/sessions/{session}/attachments/{on_disk.name}", expect=404)
    await until(lambda: not on_disk.exists())
