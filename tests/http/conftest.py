"""One server of each flavor for all tests of this folder, new accounts for each test."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.api_client import ApiClient
from tests.support.environments import OpenEnvironment
from tests.support.outside_services import Upstream, everything_at
from tests.support.raw_http import RawResponse, exchange
from tests.support.rows import Rows, open_rows
from tests.support.server_thread import RunningServer, run_server


@pytest.fixture(scope="session")
def server(open_environment: OpenEnvironment) -> Iterator[RunningServer]:
    with open_environment() as environment, run_server(environment) as running:
        yield running


@pytest.fixture
async def anonymous(server: RunningServer) -> AsyncIterator[ApiClient]:
    """A client without a token."""
    async with ApiClient(server.url) as client:
        yield client


@pytest.fixture
async def api(server: RunningServer) -> AsyncIterator[ApiClient]:
    """A client of a new account."""
    async with ApiClient.signed_in(server.url) as client:
        yield client


@pytest.fixture
async def stranger(server: RunningServer) -> AsyncIterator[ApiClient]:
    """A client of another new account."""
    async with ApiClient.signed_in(server.url) as client:
        yield client


class Raw:
    """Requests as bytes, with a valid token unless `Authorization` is given."""

    def __init__(self, port: int, token: str | None) -> None:
        self.port = port
        self.token = token

    async def __call__(
        self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> RawResponse:
        sent = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        return await exchange(self.port, method, target, sent, body)


@pytest.fixture
def raw(server: RunningServer, api: ApiClient) -> Raw:
    return Raw(server.port, api.token)


@pytest.fixture
async def rows(server: RunningServer) -> AsyncIterator[Rows]:
    async with open_rows(server.settings) as opened:
        yield opened


@pytest.fixture
def server_url(server: RunningServer) -> str:
    return server.url


# -- a server whose outside services are simulated


@pytest.fixture(scope="session")
def _running_upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture
def upstream(_running_upstream: Upstream) -> Iterator[Upstream]:
    """The simulated outside services, with no response configured."""
    _running_upstream.reset()
    yield _running_upstream
    _running_upstream.reset()


@pytest.fixture(scope="session")
def outside_server(open_environment: OpenEnvironment, _running_upstream: Upstream) -> Iterator[RunningServer]:
    """A server that takes `upstream` for every outside service."""
    with (
        open_environment() as environment,
        run_server(environment, everything_at(_running_upstream)) as running,
    ):
        yield running
