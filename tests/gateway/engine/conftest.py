"""Servers for the tests of this folder, on the loop that production uses."""

import contextlib
from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvloop

from happy.gateway.engine import EngineSettings
from tests.gateway.engine.harness import Recorder, Running
from tests.support.nodejs import OLDEST_SOCKET_IO_CLIENT, SOCKET_IO_CLIENT, node
from tests.support.official_client import NodeClient

Serve = Callable[..., Awaitable[Running]]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a server with these settings; it is stopped after the test."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(*, port: int = 0, application: Recorder | None = None, **settings: float) -> Running:
            given = EngineSettings(**settings)  # type: ignore[arg-type]
            running = Running(application or Recorder(), given, port)
            await running.start()
            stack.push_async_callback(running.stop)
            return running

        yield start


@pytest.fixture
async def server(serve: Serve) -> Running:
    """A server with the settings of production."""
    return await serve()


@pytest.fixture(params=[SOCKET_IO_CLIENT, OLDEST_SOCKET_IO_CLIENT], ids=["newest", "oldest"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[NodeClient]:
    """The official client in a Node process."""
    node()
    async with NodeClient(request.param) as running:
        yield running
