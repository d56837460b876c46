"""Serving the web app (protocol: http#web-ui-serving)."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from tests.support.environments import OpenEnvironment
from tests.support.server_thread import run_server

PAGE = "<!doctype html><html><HEAD lang='en'>\n<title>Happy</title></HEAD><body></body></html>"
BANNER = "Welcome to Happy Server!"
FOR_EVER = "public, max-age=31536000, immutable"
ENTRY = "/_expo/static/js/entry-0a1b2c3d4e5f60718293a4b5c6d7e8f9.js"
BROWSER = {"Accept": "text/html,application/xhtml+xml"}


class Serve(Protocol):
    def __call__(self, **variables: str) -> httpx.Client: ...


@pytest.fixture(scope="module")
def webapp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("webapp")
    for name, content in {
        "index.html": PAGE,
        "_expo/static/js/app-1234.js": "js",
        "_expo/static/js/entry-0a1b2c3d4e5f60718293a4b5c6d7e8f9.js": "js" * 2000,
        "assets/index-DiwrgTda.css": "a{}" * 1000,
        "assets/logo-Original.png": "png",
        "assets/__node_modules/.pnpm/font.ttf": "font",
        "favicon.ico": "icon",
        "metadata.json": "{}",
        ".env": "SECRET=1",
        ".well-known/assetlinks.json": "[]",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


@pytest.fixture(scope="module")
def serve(open_environment: OpenEnvironment, webapp: Path) -> Iterator[Serve]:
    """Start a server that serves the web app; one per set of variables."""
    running: dict[tuple[tuple[str, str], ...], httpx.Client] = {}
    with ExitStack() as stack:

        def start(**variables: str) -> httpx.Client:
            chosen = variables or {"HAPPY_SERVER_UI_DIR": str(webapp)}
            key = tuple(sorted(chosen.items()))
            if key not in running:
                server = stack.enter_context(run_server(stack.enter_context(open_environment()), chosen))
                running[key] = stack.enter_context(httpx.Client(base_url=server.url, trust_env=False))
            return running[key]

        yield start


def config_in(page: str) -> Any:
    head, _, rest = page.partition("\n<script>window.__HAPPY_CONFIG__ = ")
    assert head.endswith("<HEAD lang='en'>")
    return json.loads(rest.partition(";</script>")[0])


def test_a_self_hosted_app_talked_to_the_hosted_cloud(serve: Serve) -> None:
    web = serve()

    page = web.get("/", headers=BROWSER)

    assert {"serverUrl": str(web.base_url).rstrip("/")} == config_in(page.text)
    assert page.text.endswith("\n<!-- Welcome to Happy Server! -->\n")
    assert ("text/html; charset=utf-8", "no-cache") == (
        page.headers["content-type"],
        page.headers["cache-control"],
    )


def test_the_injected_address_is_the_one_the_browser_used(serve: Serve) -> None:
    headers = {**BROWSER, "X-Forwarded-Proto": "https", "X-Forwarded-Host": "happy.example"}

    assert {"serverUrl": "https://happy.example"} == config_in(serve().get("/", headers=headers).text)


def test_clients_recognise_the_server_behind_its_app(serve: Serve) -> None:
    answer = serve().get("/", headers={"Accept": "text/plain"})

    assert (BANNER, "text/plain; charset=utf-8") == (answer.text, answer.headers["content-type"])


@pytest.mark.parametrize(
    "path", ["/index.html", "/index.html?x", "/session/abc", "/.env", "/v1x", "/deep/er/"]
)
def test_deep_links_open_the_app(serve: Serve, path: str) -> None:
    answer = serve().get(path)

    assert 200 == answer.status_code
    assert "__HAPPY_CONFIG__" in answer.text


@pytest.mark.parametrize(
    "path",
    ["/v1/none", "/v2/none", "/v3/none", "/v1", "/files/none", "/health/none", "/metrics", "/socket.io/"],
)
def test_unknown_routes_of_the_api_were_answered_with_a_page(serve: Serve, path: str) -> None:
    answer = serve().get(path)

    assert 404 == answer.status_code
    assert "application/json; charset=utf-8" == answer.headers["content-type"]


@pytest.mark.parametrize("path", ["/_expo/static/js/none.js", "/assets/none.png"])
def test_missing_assets_were_answered_with_a_page(serve: Serve, path: str) -> None:
    answer = serve().get(path)

    assert (404, {"error": "Not found"}) == (answer.status_code, answer.json())


@pytest.mark.parametrize(
    ("path", "media_type", "cached"),
    [
        (ENTRY, "text/javascript; charset=utf-8", FOR_EVER),
        ("/assets/index-DiwrgTda.css", "text/css; charset=utf-8", FOR_EVER),
        ("/_expo/static/js/app-1234.js", "text/javascript; charset=utf-8", "no-cache"),
        ("/assets/logo-Original.png", "image/png", "no-cache"),
        ("/assets/__node_modules/.pnpm/font.ttf", "font/ttf", "no-cache"),
        ("/favicon.ico", "image/x-icon", "no-cache"),
        ("/.well-known/assetlinks.json", "application/json; charset=utf-8", "no-cache"),
    ],
)
def test_only_names_with_a_hash_are_cached_for_ever(
    serve: Serve, path: str, media_type: str, cached: str
) -> None:
    answer = serve().get(path)

    assert (200, media_type) == (answer.status_code, answer.headers["content-type"])
    assert cached == answer.headers["cache-control"]
    unchanged = serve().get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (304, b"") == (unchanged.status_code, unchanged.content)


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip, br", "gzip"), ("br;q=1.0, GZIP;q=0.5", "gzip"), ("gzip;q=0", None), ("br", None), ("", None)],
)
def test_a_bundle_is_compressed_for_clients_that_accept_it(
    serve: Serve, accepted: str, encoding: str | None
) -> None:
    answer = serve().get(ENTRY, headers={"Accept-Encoding": accepted})

    assert encoding == answer.headers.get("content-encoding")
    assert "js" * 2000 == answer.text
    assert "accept-encoding" == answer.headers["vary"]
    assert (int(answer.headers["content-length"]) < 4000) == (encoding == "gzip")
    same = {"Accept-Encoding": accepted, "If-None-Match": answer.headers["etag"]}
    assert 304 == serve().get(ENTRY, headers=same).status_code


def test_conditional_requests_respect_the_injected_content(serve: Serve) -> None:
    tag = serve().get("/", headers=BROWSER).headers["etag"]

    same = serve().get("/", headers={**BROWSER, "If-None-Match": tag})
    elsewhere = serve().get("/", headers={**BROWSER, "If-None-Match": tag, "Host": "other.example"})

    assert (304, 200) == (same.status_code, elsewhere.status_code)


@pytest.mark.parametrize(
    ("path", "location"),
    [("/ui", "/"), ("/ui/", "/"), ("/ui/a%20b", "/a%20b"), ("/ui//evil", "/evil"), ("/ui/%5Cevil", "/evil")],
)
def test_the_former_path_of_the_app_redirects_to_it_and_nowhere_else(
    serve: Serve, path: str, location: str
) -> None:
    answer = serve().get(path)

    assert (302, location) == (answer.status_code, answer.headers["location"])


def test_a_path_longer_than_any_file_name_failed(serve: Serve) -> None:
    assert 404 == serve().get("/assets/" + "x" * 300 + ".png").status_code
    assert 200 == serve().get("/" + "x" * 300).status_code


@pytest.mark.parametrize("path", ["/%2e%2e/secret", "/assets/..%2f..%2fsecret", "/a%5c..%5csecret"])
def test_no_path_leads_out_of_the_folder(serve: Serve, webapp: Path, path: str) -> None:
    (webapp.parent / "secret").write_text("secret")

    assert "secret" != serve().get(path).text


def test_the_server_keeps_its_own_routes(serve: Serve) -> None:
    assert "ok" == serve().get("/health").json()["status"]
    assert 401 == serve().get("/v1/sessions").status_code
    assert 404 == serve().post("/anything", json={}).status_code


def test_an_app_under_a_prefix_leaves_the_root_to_the_banner(serve: Serve, webapp: Path) -> None:
    web = serve(HAPPY_SERVER_LIGHT_UI_DIR=str(webapp), HAPPY_SERVER_LIGHT_UI_PREFIX="/app/")

    assert BANNER == web.get("/", headers=BROWSER).text
    assert "/app/" == web.get("/app").headers["location"]
    assert "__HAPPY_CONFIG__" in web.get("/app/").text
    assert "__HAPPY_CONFIG__" in web.get("/app/session/x").text
    assert "icon" == web.get("/favicon.ico").text
    assert "js" == web.get("/_expo/static/js/app-1234.js").text
    assert {"error": "Not found"} == web.get("/app/..%2f..%2fsecret").json()
    unknown = web.get("/elsewhere")
    assert (404, "/elsewhere") == (unknown.status_code, unknown.json()["path"])


def test_injected_configuration_could_break_out_of_its_script(serve: Serve, webapp: Path) -> None:
    config = {"disableAnalytics": True, "note": "</script><script>alert(1)</script>"}
    web = serve(HAPPY_STATIC_DIR=str(webapp), HAPPY_INJECT_HTML_CONFIG=json.dumps(config))

    page = web.get("/").text

    assert {"serverUrl": str(web.base_url).rstrip("/"), **config} == config_in(page)
    assert "</script><script>alert" not in page


def test_a_blank_new_variable_hides_the_one_it_replaces(serve: Serve, webapp: Path) -> None:
    web = serve(HAPPY_SERVER_UI_DIR=" ", HAPPY_SERVER_LIGHT_UI_DIR=str(webapp))

    assert BANNER == web.get("/").text
