"""What browsers are told: security headers of pages, and which origins may use the server."""

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.environments import Environment
from tests.support.server_thread import RunningServer, run_server

APP, OTHER = "https://app.example", "https://evil.example"
CORS = "access-control-"


@pytest.fixture
def webapp(tmp_path: Path) -> Path:
    folder = tmp_path / "webapp"
    folder.mkdir()
    (folder / "index.html").write_text("<html><head></head><script>run()</script></html>")
    (folder / "help.html").write_text("<html></html>")
    (folder / "app.js").write_text("run()")
    return folder


def get(server: RunningServer, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    with httpx.Client(trust_env=False, verify=False) as client:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.request(method, f"{server.url}{path}", headers=named)


@pytest.mark.parametrize(("path", "forms"), [("/docs", "'none'"), ("/invite/unknown", "'self'")])
def test_pages_of_ours_run_and_load_nothing(environment: Environment, path: str, forms: str) -> None:
    with run_server(environment) as server:
        page = get(server, path)
    (style,) = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    policy = (
        f"default-src 'none'; base-uri 'none'; form-action {forms}; frame-ancestors 'none';"
        f" style-src 'sha256-{digest}'"
    )
    assert policy == page.headers["content-security-policy"]
    assert ("nosniff", "DENY", "no-referrer") == (
        page.headers["x-content-type-options"],
        page.headers["x-frame-options"],
        page.headers["referrer-policy"],
    )
    assert not re.search(r"<script|<link|<img|<iframe|\sstyle=|\son\w+=|javascript:", page.text)


def test_the_web_app_is_not_framed_by_others_and_runs_as_it_is(
    environment: Environment, webapp: Path
) -> None:
    with run_server(environment, {"HAPPY_SERVER_UI_DIR": str(webapp)}) as server:
        pages = [get(server, path, accept="text/html") for path in ("/", "/help.html", "/a/route")]
        script = get(server, "/app.js")
        api = get(server, "/v1/sessions")

    for page in pages:
        assert ("nosniff", "SAMEORIGIN", "same-origin") == (
            page.headers["x-content-type-options"],
            page.headers["x-frame-options"],
            page.headers["referrer-policy"],
        )
        assert "content-security-policy" not in page.headers
    for other in (script, api):
        assert "x-frame-options" not in other.headers


# -- origins -----------------------------------------------------------------------------------------------


@pytest.fixture
def restricted(environment: Environment) -> Iterator[RunningServer]:
    with run_server(environment, {"HAPPY_CORS_ORIGINS": f"{APP}/, http://localhost:8081"}) as server:
        yield server


def cors(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith(CORS)}


def test_every_origin_may_use_the_server_unless_some_are_named(environment: Environment) -> None:
    with run_server(environment) as server:
        assert {"access-control-allow-origin": "*"} == cors(get(server, "/v1/sessions", origin=OTHER))


@pytest.mark.parametrize("path", ["/v1/sessions", "/health", "/unknown", "/docs"])
def test_only_pages_of_named_origins_may_read_answers(restricted: RunningServer, path: str) -> None:
    allowed, refused, native = (
        get(restricted, path, **headers) for headers in ({"origin": APP}, {"origin": OTHER}, {})
    )

    assert {"access-control-allow-origin": APP} == cors(allowed)
    assert ({}, {}) == (cors(refused), cors(native))
    assert {"Origin"} == {answer.headers["vary"] for answer in (allowed, refused, native)}
    assert allowed.status_code == refused.status_code == native.status_code


def test_preflights_are_granted_to_named_origins_alone(restricted: RunningServer) -> None:
    asked = {"access_control_request_method": "POST", "access_control_request_headers": "authorization"}
    allowed, refused = (
        get(restricted, "/v1/sessions", "OPTIONS", origin=origin, **asked) for origin in (APP, OTHER)
    )

    assert {
        "access-control-allow-origin": APP,
        "access-control-allow-methods": "GET, POST, PUT, DELETE",
        "access-control-allow-headers": "authorization",
    } == cors(allowed)
    assert {} == cors(refused)


def test_long_polling_obeys_as_well(restricted: RunningServer) -> None:
    path = "/v1/updates/?EIO=4&transport=polling"
    allowed, refused = (get(restricted, path, origin=origin) for origin in (APP, OTHER))

    assert APP == allowed.headers["access-control-allow-origin"]
    assert {} == cors(refused)
    assert 200 == allowed.status_code
