"""One server of each flavor and one Node process for all tests of this folder, new accounts for each."""

from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.api_client import ApiClient
from tests.support.cluster import Pair, Replica, cluster
from tests.support.environments import Environment, OpenEnvironment
from tests.support.nodejs import node
from tests.support.official_client import NodeClient, OfficialSocket
from tests.support.server_process import Server


class Account:
    """A signed-in account: `api` for HTTP, and the official client's sockets in every scope."""

    def __init__(self, api: ApiClient, client: NodeClient) -> None:
        self.api = api
        self._client = client

    def user(self, **more: str) -> OfficialSocket:
        return self._socket(clientType="user-scoped", **more)

    def session(self, session_id: str, **more: str) -> OfficialSocket:
        return self._socket(clientType="session-scoped", sessionId=session_id, **more)

    def machine(self, machine_id: str, **more: str) -> OfficialSocket:
        return self._socket(clientType="machine-scoped", machineId=machine_id, **more)

    def unscoped(self) -> OfficialSocket:
        """As control-plane tools connect: no client type at all."""
        return self._socket()

    def _socket(self, **auth: str) -> OfficialSocket:
        return self._client.socket(self.api.url, token=self.api.token, **auth)


def server_on(environment: Environment, home: Path) -> Server:
    return Server(home, flavor=environment.flavor, variables=environment.variables)


@pytest.fixture(scope="session")
def _node_is_there() -> None:
    """Ask before a server is started for nothing."""
    node()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(
    open_environment: OpenEnvironment, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    with open_environment() as environment:
        async with server_on(environment, tmp_path_factory.mktemp("server")) as running:
            yield running


@pytest_asyncio.fixture(loop_scope="session")
async def own_server(environment: Environment, tmp_path: Path) -> AsyncIterator[Server]:
    """A server of the test's own, to kill and start again."""
    async with server_on(environment, tmp_path / "home") as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client(_node_is_there: None) -> AsyncIterator[NodeClient]:
    async with NodeClient() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def account(client: NodeClient, server: Server) -> AsyncIterator[Account]:
    async with ApiClient.signed_in(server.url) as api:
        yield Account(api, client)


@pytest_asyncio.fixture(loop_scope="session")
async def stranger(client: NodeClient, server: Server) -> AsyncIterator[Account]:
    """Another account on the same server."""
    async with ApiClient.signed_in(server.url) as api:
        yield Account(api, client)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def replicas(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Replica]]:
    async with cluster(tmp_path_factory.mktemp("cluster"), 2) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def pair(replicas: list[Replica]) -> AsyncIterator[Pair]:
    """The same new account on both replicas."""
    async with (
        ApiClient.signed_in(replicas[0].url) as one,
        ApiClient(replicas[1].url, token=one.token) as other,
    ):
        yield one, other


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """When a test fails, show the end of its servers' logs."""
    report = yield
    if report.failed:
        for name in ("server", "own_server"):
            running = getattr(item, "funcargs", {}).get(name)
            if isinstance(running, Server):
                report.sections.append((f"log of {name}", running.log_text()[-8000:]))
    return report
