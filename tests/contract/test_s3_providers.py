"""Object stores with the habits of providers: no forms, the bucket in the host, keys with few rights."""

import logging
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from happy.adapters.full import open_files as open_full_files
from happy.adapters.full.s3.client import endpoint_of
from happy.adapters.full.s3.files import S3Files, open_files
from happy.domain.errors import StartupError
from tests.support.certificates import Authority
from tests.support.object_provider import DOMAIN, Right, run_provider
from tests.support.object_store import ACCESS_KEY, SECRET_KEY, ObjectStore, form, full_settings

pytestmark = pytest.mark.slow

KEY = "sessions/s1/attachments/a.enc"
OCTETS = {"Content-Type": "application/octet-stream"}


@pytest.fixture(autouse=True)
def usual_habits(object_store: ObjectStore) -> Iterator[None]:
    yield
    object_store.forget()


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name below the domain leads to this machine, as a wildcard in the DNS would."""
    usual = socket.getaddrinfo

    def lookup(host: Any, *arguments: Any, **named: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        return usual("127.0.0.1" if name.endswith(DOMAIN) else host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)


@pytest.fixture
def bucket(object_store: ObjectStore) -> str:
    return object_store.new_bucket()


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, verify=False) as opened:
        yield opened


async def refusal(object_store: ObjectStore, bucket: str, **variables: str) -> str:
    with pytest.raises(StartupError) as caught:
        async with open_files(object_store.settings(bucket, **variables)):
            pass
    shown = str(caught.value)
    assert ["\n" in shown, SECRET_KEY in shown, ACCESS_KEY in shown] == [False] * 3
    return shown


async def store(files: S3Files, key: str) -> None:
    async def content() -> AsyncIterator[bytes]:
        yield b"content"

    await files.put(key, content(), 10)


# -- uploads


async def test_a_provider_without_forms_is_served_by_put(
    object_store: ObjectStore, bucket: str, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    object_store.provider.forms = False
    caplog.set_level(logging.INFO)

    async with open_files(object_store.settings(bucket)) as files:
        ticket = await files.upload_ticket(KEY, 100, 7)
        assert ("PUT", None) == (ticket.method, ticket.form_fields)
        put = await client.put(ticket.url, content=b"content", headers=OCTETS)
        assert 200 == put.status_code
        assert b"content" == (await client.get(await files.download_url(KEY))).content

    assert [KEY] == object_store.keys(bucket)
    (record,) = [found for found in caplog.records if found.message == "object store checked"]
    assert ("PUT", "path") == (record.__dict__["uploads"], record.__dict__["addressing"])


async def test_an_address_to_put_to_is_for_one_key_and_one_size(
    object_store: ObjectStore, bucket: str, client: httpx.AsyncClient
) -> None:
    object_store.provider.forms = False
    async with open_files(object_store.settings(bucket)) as files:
        url = (await files.upload_ticket(KEY, 100, 7)).url

        for content in (b"", b"conten", b"contents", b"x" * 1_000_000):
            assert 403 == (await client.put(url, content=content, headers=OCTETS)).status_code
        assert 403 == (await client.put(url.replace("a.enc", "b.enc"), content=b"content")).status_code
        assert 200 == (await client.put(url, content=b"content")).status_code


async def test_who_announced_a_negative_size_could_put_files_of_any_size(
    object_store: ObjectStore, bucket: str, client: httpx.AsyncClient
) -> None:
    object_store.provider.forms = False
    async with open_files(object_store.settings(bucket)) as files:
        url = (await files.upload_ticket(KEY, 100, None)).url

        assert 403 == (await client.put(url, content=b"x" * 101)).status_code
        assert 200 == (await client.put(url, content=b"x" * 100)).status_code


# -- addresses


@pytest.mark.parametrize("asked", [{}, {"HAPPY_S3_ADDRESSING": "host"}])
@pytest.mark.parametrize("forms", [True, False])
async def test_a_provider_that_wants_the_bucket_in_the_host(
    object_store: ObjectStore,
    bucket: str,
    client: httpx.AsyncClient,
    asked: dict[str, str],
    *,
    forms: bool,
) -> None:
    object_store.provider.style = "host"
    object_store.provider.forms = forms
    settings = object_store.settings(bucket, S3_HOST=DOMAIN, **asked)

    async with open_files(settings) as files:
        ticket = await files.upload_ticket(KEY, 100, 7)
        assert f"{bucket}.{DOMAIN}" == httpx.URL(ticket.url).host
        if ticket.form_fields is None:
            posted = await client.put(ticket.url, content=b"content")
        else:
            posted = await client.post(ticket.url, **form(ticket.form_fields, b"content"))
        assert posted.is_success
        assert b"content" == (await client.get(await files.download_url(KEY))).content
        await files.delete_prefix("sessions/s1/")

    object_store.forget()
    assert [] == object_store.keys(bucket)


@pytest.mark.parametrize(("style", "asked"), [("host", "path"), ("path", "host")])
async def test_a_way_of_addressing_that_does_not_work_is_named_with_the_other(
    object_store: ObjectStore, bucket: str, style: Any, asked: str
) -> None:
    object_store.provider.style = style

    message = await refusal(object_store, bucket, S3_HOST=DOMAIN, HAPPY_S3_ADDRESSING=asked)

    assert message.endswith(f"; HAPPY_S3_ADDRESSING={style} works")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"S3_HOST": " s3.example.org "}, "https://s3.example.org"),
        ({"S3_HOST": "s3.example.org:9000"}, "https://s3.example.org:9000"),
        ({"S3_HOST": "http://s3.example.org"}, "http://s3.example.org"),
        ({"S3_HOST": "https://x.r2.cloudflarestorage.com/happy"}, "https://x.r2.cloudflarestorage.com"),
        ({"S3_HOST": "https://happy.nyc3.digitaloceanspaces.com"}, "https://nyc3.digitaloceanspaces.com"),
        ({"S3_HOST": "s3.example.org", "S3_USE_SSL": "false", "S3_PORT": "80"}, "http://s3.example.org:80"),
        ({"S3_HOST": "[::1]:9000", "S3_USE_SSL": "false"}, "http://[::1]:9000"),
    ],
)
def test_the_host_is_taken_as_consoles_show_it(
    object_store: ObjectStore, variables: dict[str, str], expected: str
) -> None:
    others = {"S3_PORT": "", "S3_USE_SSL": "", **variables}

    assert expected == endpoint_of(object_store.settings("happy", **others))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("S3_HOST", "key:s3cret@s3.example.org"),
        ("S3_HOST", "https://s3.example.org/s3cret"),
        ("S3_HOST", "https://s3.example.org:s3cret"),
        ("S3_HOST", "https://[s3cret"),
        ("HAPPY_S3_PUBLIC_ENDPOINT", "https://key:s3cret@s3.example.org"),
        ("S3_PUBLIC_URL", "https://key:s3cret@s3.example.org"),
    ],
)
async def test_an_address_that_holds_a_secret_is_refused_without_showing_it(
    object_store: ObjectStore, bucket: str, name: str, value: str
) -> None:
    message = await refusal(object_store, bucket, **{name: value, "S3_PORT": ""})

    assert message.startswith(f"{name}: expected ")
    assert "s3cret" not in message


# -- rights


@pytest.mark.parametrize(
    ("denied", "expected"),
    [
        ("list", "give no access to the bucket"),
        ("write", "may not write in the bucket"),
        ("read", "may not read in the bucket"),
        ("delete", "may not delete in the bucket"),
    ],
)
async def test_a_right_that_a_key_lacks_is_named_at_the_start(
    object_store: ObjectStore, bucket: str, denied: Right, expected: str
) -> None:
    object_store.provider.denied = frozenset({denied})

    message = await refusal(object_store, bucket)

    assert message.startswith(f"S3_ACCESS_KEY and S3_SECRET_KEY {expected} {bucket!r}")
    assert message.endswith("allow this key to list, read, write and delete in it")


async def test_a_store_that_repeats_an_unknown_key_does_not_bring_it_into_the_log(
    object_store: ObjectStore, bucket: str
) -> None:
    object_store.provider.knows_key = False

    message = await refusal(object_store, bucket)

    assert "The key *** does not exist in our records." in message


async def test_the_start_leaves_nothing_behind(object_store: ObjectStore, bucket: str) -> None:
    object_store.provider.lists_of_deletions = False

    async with open_files(object_store.settings(bucket)) as files:
        assert [] == object_store.keys(bucket)
        await store(files, KEY)
        await files.delete_prefix("sessions/s1/")
        assert [] == object_store.keys(bucket)


@pytest.mark.parametrize("moments", [1, 2])
async def test_a_moment_of_trouble_is_not_the_end_of_a_start(
    object_store: ObjectStore, bucket: str, moments: int
) -> None:
    object_store.provider.troubled = moments

    async with open_files(object_store.settings(bucket)):
        assert 0 == object_store.provider.troubled


# -- the surroundings


async def test_aws_configuration_of_the_environment_is_ignored(
    object_store: ObjectStore, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(
        "[default]\nregion = nowhere\ns3 =\n  addressing_style = virtual\n  use_accelerate_endpoint = true\n"
        "endpoint_url = http://127.0.0.1:1\nretry_mode = none\n[profile broken\n"
    )
    (tmp_path / ".aws" / "credentials").write_text("[default]\naws_access_key_id = other\n")
    for name, value in {
        "HOME": str(tmp_path),
        "AWS_PROFILE": "none-such",
        "AWS_DEFAULT_PROFILE": "none-such",
        "AWS_ACCESS_KEY_ID": "other",
        "AWS_SECRET_ACCESS_KEY": "other",
        "AWS_SESSION_TOKEN": "other",
        "AWS_REGION": "nowhere",
        "AWS_DEFAULT_REGION": "nowhere",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
        "AWS_CA_BUNDLE": "/none/such",
        "REQUESTS_CA_BUNDLE": "/none/such",
        "AWS_MAX_ATTEMPTS": "many",
        "AWS_RETRY_MODE": "none",
        "AWS_DEFAULTS_MODE": "none",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "none",
        "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT": "none",
        "AWS_DATA_PATH": "/none/such",
        "HTTPS_PROXY": "http://127.0.0.1:1",
        "HTTP_PROXY": "http://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)

    async with open_files(object_store.settings(bucket)) as files:
        await store(files, KEY)
        url = httpx.URL(await files.download_url(KEY))

    assert [KEY] == object_store.keys(bucket)
    assert f"{ACCESS_KEY}/" in url.params["X-Amz-Credential"]
    assert "/us-east-1/" in url.params["X-Amz-Credential"]
    assert "X-Amz-Security-Token" not in url.params


@pytest.mark.parametrize(
    ("server", "warned"),
    [("http://127.0.0.1", True), ("http://127.0.0.1:3005", False), ("https://happy.example.org", False)],
)
async def test_a_store_under_the_servers_own_address_is_warned_of(
    object_store: ObjectStore, bucket: str, caplog: pytest.LogCaptureFixture, server: str, *, warned: bool
) -> None:
    settings = full_settings("postgresql://unused", {**object_store.variables(bucket), "PUBLIC_URL": server})

    async with open_full_files(settings):
        pass

    assert warned == ("begins with PUBLIC_URL" in caplog.text)


async def test_spaces_around_a_setting_do_not_count(object_store: ObjectStore, bucket: str) -> None:
    usual = object_store.variables(bucket)
    spaced = {name: f" {value}\r\n" for name, value in usual.items()}

    assert object_store.settings(bucket) == object_store.settings(bucket, **spaced)


async def test_a_store_with_a_certificate_of_ones_own(object_store: ObjectStore, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    bucket = object_store.new_bucket()
    with run_provider(SECRET_KEY, authority.issue("localhost")) as (_, port):
        encrypted = {"S3_HOST": "localhost", "S3_PORT": str(port), "S3_USE_SSL": "true"}
        trusted = {**encrypted, "HAPPY_S3_CA_FILE": str(authority.file)}

        async with open_files(object_store.settings(bucket, **trusted)) as files:
            await store(files, KEY)
        message = await refusal(object_store, bucket, **encrypted)

    assert [KEY] == object_store.keys(bucket)
    assert message.endswith("give the certificate of its authority (HAPPY_S3_CA_FILE)")


async def test_an_authority_that_cannot_be_read_is_named(object_store: ObjectStore, bucket: str) -> None:
    message = await refusal(object_store, bucket, HAPPY_S3_CA_FILE="/none/such.pem")

    assert "HAPPY_S3_CA_FILE names a file that cannot be read: /none/such.pem" == message
