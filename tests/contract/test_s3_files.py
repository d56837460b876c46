"""What only an object store does: clients reach it by themselves, and it has to be there at the start."""

import base64
import hmac
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from happy.adapters.full.s3 import client as s3_client
from happy.adapters.full.s3 import files as s3_files
from happy.adapters.full.s3.files import S3Files, open_files
from happy.domain.errors import NotFound, StartupError, Unavailable
from happy.domain.ports.outbound import FetchedAvatar
from happy.domain.values import AccountId
from happy.services.avatars import AvatarService
from happy.settings import S3
from tests.contract.flavors import light_opener
from tests.support.object_store import ACCESS_KEY, PUBLIC_URL, SECRET_KEY, ObjectStore, fields_of, form
from tests.support.outside_services import Answer, Upstream
from tests.support.server_process import free_port

KEY = "sessions/s1/attachments/a.enc"
FIELDS = {
    "bucket", "key", "x-amz-date", "x-amz-algorithm", "x-amz-credential", "policy", "x-amz-signature"
}  # fmt: skip


@pytest.fixture
def bucket(object_store: ObjectStore) -> str:
    return object_store.new_bucket()


@pytest.fixture
async def files(object_store: ObjectStore, bucket: str) -> AsyncIterator[S3Files]:
    async with open_files(object_store.settings(bucket)) as opened:
        yield opened


@pytest.fixture
async def browser() -> AsyncIterator[httpx.AsyncClient]:
    """A client without credentials."""
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        yield client


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def store(files: S3Files, key: str, content: bytes = b"content") -> None:
    await files.put(key, pieces(content), len(content))


def policy_of(fields: dict[str, str]) -> Any:
    return json.loads(base64.b64decode(fields["policy"]))


def signature(policy: str, day: str) -> str:
    """As S3 checks it: the key is derived from the secret in four steps."""
    key = f"AWS4{SECRET_KEY}".encode()
    for part in (day, "us-east-1", "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, policy.encode(), "sha256").hex()


# -- past this server ----------------------------------------------------------------------------------


async def test_a_client_uploads_and_downloads_by_itself(
    files: S3Files, object_store: ObjectStore, bucket: str, browser: httpx.AsyncClient
) -> None:
    ticket = await files.upload_ticket(KEY, 100)
    assert ("POST", f"{object_store.url}/{bucket}") == (ticket.method, ticket.url)
    assert FIELDS == set(fields_of(ticket))

    posted = await browser.post(ticket.url, **form(fields_of(ticket), b"\0sealed\xff"))
    assert posted.status_code in (200, 204)

    fetched = await browser.get(await files.download_url(KEY))
    assert (200, b"\0sealed\xff") == (fetched.status_code, fetched.content)


async def test_a_ticket_is_for_one_key_a_size_and_a_quarter_of_an_hour(files: S3Files, bucket: str) -> None:
    fields = fields_of(await files.upload_ticket(KEY, 10_485_760))
    policy = policy_of(fields)

    assert ["content-length-range", 0, 10_485_760] in policy["conditions"]
    signed = {
        name: value for one in policy["conditions"] if isinstance(one, dict) for name, value in one.items()
    }
    assert {"policy", "x-amz-signature"} == set(fields) - set(signed)
    assert (bucket, KEY) == (signed["bucket"], signed["key"])
    assert fields == fields | signed
    expires = datetime.strptime(policy["expiration"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert timedelta(minutes=14) < expires - datetime.now(UTC) <= timedelta(minutes=15)


async def test_what_a_client_signs_with_is_signature_version_4(files: S3Files) -> None:
    fields = fields_of(await files.upload_ticket(KEY, 1))
    query = parse_qs(urlsplit(await files.download_url(KEY)).query)

    assert "AWS4-HMAC-SHA256" == fields["x-amz-algorithm"] == query["X-Amz-Algorithm"][0]
    assert re.fullmatch(rf"{ACCESS_KEY}/\d{{8}}/us-east-1/s3/aws4_request", fields["x-amz-credential"])
    assert signature(fields["policy"], fields["x-amz-date"][:8]) == fields["x-amz-signature"]
    assert ["900"] == query["X-Amz-Expires"]


async def test_clients_are_sent_to_the_public_endpoint(object_store: ObjectStore, bucket: str) -> None:
    settings = object_store.settings(bucket, HAPPY_S3_PUBLIC_ENDPOINT="https://s3.example.org/")

    async with open_files(settings) as files:
        await store(files, KEY)
        ticket, url = await files.upload_ticket(KEY, 1), await files.download_url(KEY)

    assert f"https://s3.example.org/{bucket}" == ticket.url
    assert url.startswith(f"https://s3.example.org/{bucket}/{KEY}?")
    assert [KEY] == object_store.keys(bucket)


async def test_the_public_endpoint_changes_only_the_host_that_is_signed(
    object_store: ObjectStore, bucket: str, browser: httpx.AsyncClient
) -> None:
    endpoint = f"http://localhost:{object_store.port}"

    async with open_files(object_store.settings(bucket, HAPPY_S3_PUBLIC_ENDPOINT=endpoint)) as files:
        ticket = await files.upload_ticket(KEY, 100)
        await browser.post(ticket.url, **form(fields_of(ticket), b"content"))
        url = await files.download_url(KEY)

    assert [True, True] == [address.startswith(f"{endpoint}/{bucket}") for address in (ticket.url, url)]
    assert b"content" == (await browser.get(url)).content


async def test_the_address_of_a_public_file_is_not_escaped(files: S3Files) -> None:
    assert "http://files.example.org/public/a b/ü.jpg" == files.public_url("public/a b/ü.jpg")


# -- through this server -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "expected"),
    [("public/a.png", "image/png"), ("public/a.jpg", "image/jpeg"), (KEY, "application/octet-stream")],
)
async def test_an_object_has_a_content_type(
    files: S3Files, object_store: ObjectStore, bucket: str, key: str, expected: str
) -> None:
    await store(files, key)

    assert expected == object_store.client.head_object(Bucket=bucket, Key=key)["ContentType"]


async def test_a_prefix_of_several_pages_is_deleted(
    files: S3Files, object_store: ObjectStore, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_files, "PAGE", 2)
    for number in range(5):
        await store(files, f"sessions/s1/attachments/{number}")
    await store(files, "sessions/s2/attachments/0")

    await files.delete_prefix("sessions/s1/attachments/")

    assert ["sessions/s2/attachments/0"] == object_store.keys(bucket)


async def test_reading_part_of_an_object_leaves_nothing_open(files: S3Files) -> None:
    content = b"x" * 3 * s3_files.CHUNK
    await store(files, KEY, content)

    for _ in range(s3_client.CONNECTIONS + 1):
        partly = (await files.open(KEY)).chunks
        await anext(partly)
        await partly.aclose()  # type: ignore[attr-defined]

    assert content == b"".join([chunk async for chunk in (await files.open(KEY)).chunks])


async def test_a_store_that_is_gone_is_unavailable(
    files: S3Files, object_store: ObjectStore, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store(files, KEY)
    opened = await files.open(KEY)
    object_store.client.delete_object(Bucket=bucket, Key=KEY)
    object_store.client.delete_bucket(Bucket=bucket)

    with pytest.raises(NotFound):
        await files.open(KEY)
    with pytest.raises(Unavailable):
        await anext(opened.chunks)
    with pytest.raises(Unavailable):
        await store(files, KEY)
    with pytest.raises(Unavailable):
        await files.delete_prefix("sessions/s1/")


class Pictures:
    async def fetch(self, url: str) -> FetchedAvatar:
        return FetchedAvatar(b"content", "png", 4, 2, "hash")


async def test_a_profile_picture_is_copied_into_the_bucket(
    files: S3Files, object_store: ObjectStore, bucket: str, tmp_path: Path
) -> None:
    async with light_opener(tmp_path)() as database:
        avatars = AvatarService(database, Pictures(), files)
        copy = await avatars.copy(AccountId("a1"), "https://p/1")

    assert re.fullmatch(r"public/users/a1/avatars/github_\w{24}\.png", copy.avatar.path)
    assert [copy.avatar.path] == object_store.keys(bucket)
    assert f"{PUBLIC_URL}/{copy.avatar.path}" == avatars.public_url(copy.avatar)

    await avatars.discard(copy)
    assert [] == object_store.keys(bucket)


# -- at the start --------------------------------------------------------------------------------------


async def refusal(settings: S3) -> str:
    with pytest.raises(StartupError) as caught:
        async with open_files(settings):
            pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_a_missing_bucket_is_named_at_the_start(object_store: ObjectStore) -> None:
    expected = f"S3_BUCKET: the object store {object_store.url} has no bucket 'none-such': create it"

    assert expected == await refusal(object_store.settings("none-such"))


async def test_a_store_that_does_not_answer_is_named_at_the_start(object_store: ObjectStore) -> None:
    port = free_port()

    message = await refusal(object_store.settings("any", S3_PORT=str(port)))

    assert message.startswith(f"cannot reach the object store http://127.0.0.1:{port} (S3_HOST): ")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (403, "S3_ACCESS_KEY and S3_SECRET_KEY give no access to the bucket 'any' of {}"),
        (501, "the object store {} does not show its bucket 'any': "),
    ],
)
async def test_a_store_that_refuses_is_named_at_the_start(
    object_store: ObjectStore, status: int, expected: str
) -> None:
    with Upstream() as refusing:
        refusing.on("GET", "/any", Answer(status, body=b""))
        message = await refusal(object_store.settings("any", S3_PORT=str(refusing.port)))

    assert message.startswith(expected.format(refusing.url))


async def test_an_address_that_cannot_be_one_is_named_at_the_start(object_store: ObjectStore) -> None:
    message = await refusal(object_store.settings("any", S3_HOST="not a host"))

    assert message.startswith("cannot use the object store http://not a host:")
