"""Banner, health and public files (protocol: http#infrastructure-endpoints)."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.http.conftest import Raw
from tests.support.api_client import ApiClient
from tests.support.server_thread import RunningServer

MISSING = {"error": "Not found"}


async def test_the_banner_identifies_a_happy_server_to_clients(raw: Raw) -> None:
    answer = await raw("GET", "/", {"Accept": "text/plain"})

    assert (200, b"Welcome to Happy Server!") == (answer.status, answer.body)
    assert "text/plain; charset=utf-8" == answer.headers["content-type"]


async def test_health_returns_ok_and_the_time(anonymous: ApiClient) -> None:
    health = await anonymous.get("/health")

    stamp = health.pop("timestamp")
    assert {"status": "ok", "service": "happy-server"} == health
    assert ("Z", 24) == (stamp[-1], len(stamp))
    assert timedelta(seconds=10) > abs(datetime.now(UTC) - datetime.fromisoformat(stamp))


@pytest.fixture
def stored(server: RunningServer) -> RunningServer:
    files = server.files
    for name in ("public/a/one.png", "public/two.JPG", "public/three.webp", "public/x y/ü.gif", "public/none",
                 "public/big.jpeg", "sessions/s/attachments/secret.enc", "public/empty.png"):  # fmt: skip
        path = files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if "empty" in name else name.encode() * (100_000 if "big" in name else 1))
    return server


@pytest.mark.parametrize(
    ("path", "name", "media_type"),
    [
        ("public/a/one.png", "public/a/one.png", "image/png"),
        ("public/two.JPG", "public/two.JPG", "image/jpeg"),
        ("public/three.webp", "public/three.webp", "image/webp"),
        ("public/x%20y/%C3%BC.gif", "public/x y/ü.gif", "image/gif"),
        ("public/none", "public/none", "application/octet-stream"),
        ("public%2Fa%2Fone.png", "public/a/one.png", "image/png"),
        ("/public//a/./one.png", "public/a/one.png", "image/png"),
    ],
)
async def test_a_public_file_has_a_type_a_length_and_is_cached_for_ever(
    stored: RunningServer, raw: Raw, path: str, name: str, media_type: str
) -> None:
    """06 F9: it had no type, and browsers guessed."""
    answer = await raw("GET", f"/files/{path}", {"Authorization": "none needed"})

    assert (200, name) == (answer.status, answer.body.decode())
    assert media_type == answer.headers["content-type"]
    assert "public, max-age=31536000, immutable" == answer.headers["cache-control"]
    assert len(answer.body) == int(answer.headers["content-length"])


async def test_a_large_file_arrives_whole(stored: RunningServer, raw: Raw) -> None:
    assert b"public/big.jpeg" * 100_000 == (await raw("GET", "/files/public/big.jpeg")).body


async def test_an_empty_file_is_a_file(stored: RunningServer, raw: Raw) -> None:
    answer = await raw("GET", "/files/public/empty.png")

    assert (200, b"", "0") == (answer.status, answer.body, answer.headers["content-length"])


async def test_head_of_a_file_has_its_headers(stored: RunningServer, raw: Raw) -> None:
    answer = await raw("HEAD", "/files/public/big.jpeg")

    assert (200, "1500000", b"") == (answer.status, answer.headers["content-length"], answer.body)


@pytest.mark.parametrize(
    "path",
    [
        "public/missing.png",
        "public/a",
        "public/a/",
        "public",
        "public/",
        "",
        "public/../public/two.JPG",
        "public/%2e%2e/sessions/s/attachments/secret.enc",
        "../happy-server-light.sqlite",
        "public/a:b",
        "public/%5C..%5Cx",
        "public/one%zz",
        "public/two.JPG/x",
        "Public/two.JPG",
        "public/" + "x" * 300,
    ],
)
async def test_everything_else_is_missing_instead_of_failing(
    stored: RunningServer, raw: Raw, path: str
) -> None:
    """06 A10: a folder was a 500."""
    answer = await raw("GET", f"/files/{path}")

    assert (404, MISSING) == (answer.status, answer.json())


async def test_attachments_cannot_be_read_without_a_token(stored: RunningServer, raw: Raw) -> None:
    """06 B6."""
    for path in ("sessions/s/attachments/secret.enc", "/sessions/s/attachments/secret.enc"):
        assert (404, MISSING) == ((answer := await raw("GET", f"/files/{path}")).status, answer.json())


async def test_files_without_a_slash_is_an_unknown_route(raw: Raw) -> None:
    assert {"path": "/files", "method": "GET"}.items() <= (await raw("GET", "/files")).json().items()
