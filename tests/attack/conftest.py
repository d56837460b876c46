"""A server for each attack: what it has at its peak is what the attack made of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.environments import Environment
from tests.support.server_process import Server

VARIABLES = {"HAPPY_TRUSTED_PROXIES": "none", "HAPPY_EXPO_URL": "http://127.0.0.1:9"}
"""Attackers and bystanders have loopback addresses of their own; none of them is a proxy. No notification
leaves this machine."""


HERE = Path(__file__).parent


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    return True if str(config.option.markexpr).startswith("not slow") else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each attack takes seconds, during which nothing else should."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.slow)


@pytest_asyncio.fixture
async def server(environment: Environment, tmp_path: Path) -> AsyncIterator[Server]:
    variables = {**environment.variables, **VARIABLES}
    async with Server(tmp_path / "home", flavor=environment.flavor, variables=variables) as running:
        yield running
