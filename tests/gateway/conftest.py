"""One server of each flavor for all tests of this folder, new accounts for each test."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.api_client import ApiClient
from tests.support.environments import OpenEnvironment
from tests.support.server_thread import RunningServer, run_server


@pytest.fixture(scope="session")
def server(open_environment: OpenEnvironment) -> Iterator[RunningServer]:
    with open_environment() as environment, run_server(environment, departure_seconds=1.0) as running:
        yield running


@pytest.fixture(scope="session")
def hasty_server(open_environment: OpenEnvironment) -> Iterator[RunningServer]:
    """A server that gives a method hardly any time to come back."""
    with (
        open_environment() as environment,
        run_server(environment, grace_seconds=0.05, departure_seconds=1.0) as running,
    ):
        yield running


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


@pytest.fixture
async def sid(api: ApiClient) -> str:
    """A session of the account."""
    return str((await api.create_session())["id"])


@pytest.fixture
async def mid(api: ApiClient) -> str:
    """A machine of the account."""
    return str((await api.register_machine())["id"])
