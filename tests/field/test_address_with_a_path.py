"""Server addresses as people type them: with a slash at the end, and with a path behind the host."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tests.e2e.conftest import server_on
from tests.support.api_client import ApiClient
from tests.support.environments import Environment, OpenEnvironment
from tests.support.official_client import NodeClient, OfficialSocket
from tests.support.reverse_proxies import nginx_at, started
from tests.support.server_process import Server, free_port
from tests.support.socket_client import ConnectRefused

pytestmark = pytest.mark.asyncio(loop_scope="session")
PUBLIC = "https://example.org/happy"
PAGE = '<html><head></head><body><script src="/_expo/app.js"></script><a href="//example.org/"></a></html>'


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def prefixed(
    open_environment: OpenEnvironment, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    """A server that is one of several things on its host."""
    home = tmp_path_factory.mktemp("prefixed")
    (home / "ui" / "_expo").mkdir(parents=True)
    (home / "ui" / "index.html").write_text(PAGE)
    (home / "ui" / "_expo" / "app.js").write_text("js")
    with open_environment() as environment:
        variables = {"PUBLIC_URL": PUBLIC, "HAPPY_SERVER_UI_DIR": str(home / "ui"), **environment.variables}
        async with server_on(Environment(environment.flavor, variables), home) as running:
            yield running


def socket_at(client: NodeClient, url: str, api: ApiClient) -> OfficialSocket:
    return client.socket(url, token=api.token, clientType="user-scoped")


async def speaks_in_both_directions(client: NodeClient, url: str, api: ApiClient) -> None:
    """Everything a socket does: connect, be told, call, be called, leave."""
    session = await api.create_session()
    async with socket_at(client, url, api) as phone, socket_at(client, url, api) as daemon:
        await api.post_messages(session["id"], ["hello"])
        assert session["id"] == (await phone.next_update("new-message"))["sid"]
        assert {} == await phone.call("ping")
        await daemon.answer("rpc-request", value="42")
        await daemon.emit("rpc-register", {"method": "m:bash"})
        await daemon.next_event("rpc-registered")
        assert {"ok": True, "result": "42"} == await phone.call("rpc-call", {"method": "m:bash"})
        await phone.drop()
        await phone.next_life("connect")
        await api.post_messages(session["id"], ["again"])
        assert session["id"] == (await phone.next_update("new-message"))["sid"]


@pytest.mark.parametrize("slashes", ["/", "//"])
async def test_an_address_with_a_slash_at_the_end_was_not_found(
    server: Server, client: NodeClient, slashes: str
) -> None:
    """The app and the terminal keep `http://host/` and ask for `//v1/auth`."""
    async with ApiClient.signed_in(server.url + slashes) as api:
        await speaks_in_both_directions(client, server.url + slashes, api)


async def test_an_address_with_a_path_reaches_the_server_and_its_realtime_channel(
    prefixed: Server, client: NodeClient
) -> None:
    for url in (prefixed.url, prefixed.url + "/happy", prefixed.url + "/happy/"):
        async with ApiClient.signed_in(url) as api:
            await speaks_in_both_directions(client, url, api)


async def test_the_page_under_a_path_names_its_server_and_loads_its_files_there(prefixed: Server) -> None:
    async with httpx.AsyncClient(base_url=prefixed.url, trust_env=False) as browser:
        page = (await browser.get("/happy/session/x", headers={"Accept": "text/html"})).text
        script = (await browser.get("/happy/_expo/app.js")).text
        banner = (await browser.get("/happy", headers={"Accept": "text/plain"})).text

    assert f'"serverUrl":"{PUBLIC}"' in page
    assert 'src="/happy/_expo/app.js"' in page
    assert 'href="//example.org/"' in page
    assert ("js", "Welcome to Happy Server!") == (script, banner)


async def test_an_api_path_with_two_slashes_was_answered_with_the_page(prefixed: Server) -> None:
    async with httpx.AsyncClient(base_url=prefixed.url, trust_env=False) as browser:
        answers = [await browser.get(f"{prefixed.url}{path}") for path in ("//v1/none", "/happy//v1/none")]

    assert [404, 404] == [answer.status_code for answer in answers]
    assert ["/v1/none"] * 2 == [answer.json()["path"] for answer in answers]


async def test_other_namespaces_are_still_refused(prefixed: Server, client: NodeClient) -> None:
    async with ApiClient.signed_in(prefixed.url) as api:
        with pytest.raises(ConnectRefused, match="Invalid namespace"):
            await socket_at(client, prefixed.url + "/happy2", api).connect()


STRIPS = "location /happy/ { proxy_pass http://127.0.0.1:%d/; }"
PASSES = "location /happy/ { proxy_pass http://127.0.0.1:%d; }"


@pytest.mark.parametrize("location", [STRIPS, PASSES], ids=["strips the prefix", "passes it on"])
async def test_one_host_name_serves_several_things(
    prefixed: Server, client: NodeClient, tmp_path: Path, location: str
) -> None:
    """The realtime channel is at the root of the host, where clients look for it."""
    port = free_port()
    realtime = "location /v1/updates/ { proxy_pass http://127.0.0.1:%d; }"
    other = 'location / { return 200 "something else"; }'
    setup = nginx_at(
        tmp_path / "nginx", port, f"{location}\n{realtime}\n{other}".replace("%d", str(prefixed.port))
    )
    address = f"http://127.0.0.1:{port}/happy"
    async with started("nginx", tmp_path / "nginx", setup, address) as url, ApiClient.signed_in(url) as api:
        await speaks_in_both_directions(client, url, api)
        assert "something else" == (await api.http.get(f"http://127.0.0.1:{port}/")).text
