"""The flavors, and environments for their servers."""

import contextlib
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import databases, services
from tests.support.environments import (
    FLAVORS,
    Environment,
    OpenEnvironment,
    full_environment,
    light_environment,
)

# How long examples take is not judged: on a busy machine that says nothing about a test.
settings.register_profile(
    "at any speed",
    parent=settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("at any speed")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture: a test that needs the services, and cannot have them, says so."""
    if item.get_closest_marker("services") is not None and (problem := services.problem()) is not None:
        services.missing(problem)


WHOLLY_SLOW = re.compile(r"^pytestmark = .*\bpytest\.mark\.slow\b", re.MULTILINE)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where slow tests are left out, modules that have no others: importing some takes seconds."""
    if not str(config.option.markexpr).startswith("not slow") or not collection_path.match("test_*.py"):
        return None
    return True if WHOLLY_SLOW.search(collection_path.read_text()) else None


EVERY_DAY = "test_restart.py"
"""Whose tests on the light flavor `make test` runs, of all those that start a server process of their own."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What only one test uses costs as much as a hundred others: `make test` makes databases on one flavor,
    and hardly any server processes.
    """
    for item in items:
        if isinstance(item, pytest.Function) and _is_costly(item):
            item.add_marker(pytest.mark.slow)


def _is_costly(item: pytest.Function) -> bool:
    if not {"environment", "own_server"} & set(item.fixturenames):
        return False
    callspec = getattr(item, "callspec", None)  # a test may open an environment of its own flavor
    on_full = callspec is not None and callspec.params.get("flavor") == "full"
    return on_full or ("own_server" in item.fixturenames and item.path.name != EVERY_DAY)


@pytest.fixture(autouse=True)
def _usual_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that gives way to others would make all later tests of this process wait for everybody."""
    monkeypatch.setattr(os, "nice", lambda increment: increment)


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
