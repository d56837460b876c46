"""An upstream server, and a client that gives up soon on one that says nothing."""

from collections.abc import AsyncIterator, Iterator

import pytest

from happy.adapters.outbound.http_client import HttpClient
from tests.support.outside_services import Answer, Upstream


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
def patience(request: pytest.FixtureRequest) -> float:
    """Seconds. There is no hurry, however busy this machine is, but with an answer that never ends."""
    callspec = getattr(request.node, "callspec", None)
    answer = None if callspec is None else callspec.params.get("answer")
    endless = isinstance(answer, Answer) and (answer.hang or answer.drip is not None)
    return 0.5 if endless else 30


@pytest.fixture
async def web(patience: float) -> AsyncIterator[HttpClient]:
    client = HttpClient(seconds=patience)
    yield client
    await client.close()
