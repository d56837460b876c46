"""An upstream server, and a client that is quick to give up on it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from happy.adapters.web_client import WebClient
from tests.upstreams import Upstream


@pytest.fixture(scope="session")
def _running_upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture
def upstream(_running_upstream: Upstream) -> Iterator[Upstream]:
    _running_upstream.reset()
    yield _running_upstream
    _running_upstream.reset()


@pytest.fixture
async def web() -> AsyncIterator[WebClient]:
    client = WebClient(seconds=0.5)
    yield client
    await client.close()
