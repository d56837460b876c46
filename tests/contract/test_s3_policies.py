"""What an object store has to refuse, and the settings of a bucket that the documentation gives."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from happy.adapters.full.s3.files import S3Files, open_files
from tests.support.object_store import ObjectStore, enforces_policies, fields_of, form

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "operating-full.md"
KEY = "sessions/s1/attachments/a.enc"
ORIGIN = "https://app.example.org"


@pytest.fixture
def bucket(object_store: ObjectStore) -> str:
    return object_store.new_bucket()


@pytest.fixture
async def files(object_store: ObjectStore, bucket: str) -> AsyncIterator[S3Files]:
    async with open_files(object_store.settings(bucket)) as opened:
        yield opened


@pytest.fixture
async def anybody() -> AsyncIterator[httpx.AsyncClient]:
    """A client without credentials."""
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        yield client


def documented(bucket: str) -> dict[str, Any]:
    """Policy, CORS and lifecycle, as operators copy them."""
    blocks = re.findall(r"```json\n(.*?)```", DOCUMENTATION.read_text("utf-8"), re.DOTALL)
    policy, cors, lifecycle = (json.loads(block.replace(":::happy/", f":::{bucket}/")) for block in blocks)
    return {"policy": policy, "cors": cors, "lifecycle": lifecycle}


def configure(object_store: ObjectStore, bucket: str) -> None:
    given = documented(bucket)
    client = object_store.client
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(given["policy"]))
    client.put_bucket_cors(Bucket=bucket, CORSConfiguration=given["cors"])
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=given["lifecycle"])


def test_the_documented_settings_of_a_bucket_are_accepted(object_store: ObjectStore, bucket: str) -> None:
    configure(object_store, bucket)

    rules = object_store.client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert ["sessions/"] == [rule["Filter"]["Prefix"] for rule in rules]


@enforces_policies
async def test_everybody_reads_public_files_and_no_others(
    object_store: ObjectStore, bucket: str, anybody: httpx.AsyncClient
) -> None:
    configure(object_store, bucket)
    for key in ("public/users/a/avatars/github_a.png", KEY):
        object_store.client.put_object(Bucket=bucket, Key=key, Body=b"content")
    bucket_url = f"{object_store.url}/{bucket}"
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}

    assert 200 == (await anybody.get(f"{bucket_url}/public/users/a/avatars/github_a.png")).status_code
    assert 403 == (await anybody.get(f"{bucket_url}/{KEY}")).status_code
    assert 403 == (await anybody.get(bucket_url)).status_code
    preflight = await anybody.options(f"{bucket_url}", headers=asked)
    assert ORIGIN == preflight.headers["access-control-allow-origin"]


@enforces_policies
async def test_a_form_is_good_for_its_key_and_its_size_alone(
    files: S3Files, object_store: ObjectStore, bucket: str, anybody: httpx.AsyncClient
) -> None:
    ticket = await files.upload_ticket(KEY, 100)
    fields = fields_of(ticket)
    tampered = {
        "another key": {**fields, "key": "sessions/s1/attachments/b.enc"},
        "another folder": {**fields, "key": "public/x.png"},
        "a field more": {**fields, "acl": "public-read"},
        "another policy": {**fields, "policy": fields["policy"][:-8] + "AAAAAAA="},
        "another signature": {**fields, "x-amz-signature": "0" * 64},
    }

    for what, sent in tampered.items():
        answer = await anybody.post(ticket.url, **form(sent, b"content"))
        assert answer.status_code in (400, 403), what
    too_large = await anybody.post(ticket.url, **form(fields, b"x" * 101))
    assert 400 == too_large.status_code
    assert "EntityTooLarge" in too_large.text
    assert [] == object_store.keys(bucket)
    assert (await anybody.post(ticket.url, **form(fields, b"x" * 100))).is_success
    assert [KEY] == object_store.keys(bucket)


@enforces_policies
async def test_an_address_is_good_for_its_file_alone(
    files: S3Files, object_store: ObjectStore, bucket: str, anybody: httpx.AsyncClient
) -> None:
    for key in (KEY, KEY + "2"):
        object_store.client.put_object(Bucket=bucket, Key=key, Body=b"content")
    url = await files.download_url(KEY)

    assert b"content" == (await anybody.get(url)).content
    assert 403 == (await anybody.get(url.replace(KEY, KEY + "2"))).status_code
    assert 403 == (await anybody.get(url[:-1] + ("0" if url[-1] != "0" else "1"))).status_code
    assert 403 == (await anybody.delete(url)).status_code
