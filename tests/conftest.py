"""The flavors, and environments for their servers."""

import contextlib
import logging
from collections.abc import Iterator

import pytest

from tests.support import databases, services
from tests.support.environments import (
    FLAVORS,
    Environment,
    OpenEnvironment,
    full_environment,
    light_environment,
)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture: a test that needs the services, and cannot have them, says so."""
    if item.get_closest_marker("services") is not None and (problem := services.problem()) is not None:
        services.missing(problem)


@pytest.fixture(autouse=True)
def _usual_logging() -> Iterator[None]:
    """A command that runs in this process makes its log the log of the process, on a stream that ends."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    for handler in [handler for handler in root.handlers if handler not in before]:
        root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(scope="session", params=FLAVORS)
def flavor(request: pytest.FixtureRequest) -> str:
    """Whoever asks for it, himself or through another fixture, runs once on each."""
    return str(request.param)


@pytest.fixture(scope="session")
def postgres_template() -> Iterator[str]:
    """A database with the schema and no rows, to be copied, never connected to."""
    url = services.result_of(databases.create_migrated())
    yield url
    services.result_of(databases.drop(url))


@pytest.fixture(scope="session")
def open_environment(
    flavor: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> OpenEnvironment:
    """For fixtures whose servers live longer than a test."""
    if flavor == "full":
        template = request.getfixturevalue("postgres_template")
        return lambda: full_environment(tmp_path_factory.mktemp("full"), template)
    return lambda: contextlib.nullcontext(light_environment(tmp_path_factory.mktemp("light")))


@pytest.fixture
def environment(open_environment: OpenEnvironment) -> Iterator[Environment]:
    """An environment of the test's own."""
    with open_environment() as opened:
        yield opened
