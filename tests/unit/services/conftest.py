"""A world with one account in it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from happy.adapters.light.schema import prepare
from happy.adapters.light.sqlite import open_store
from happy.domain.values import AccountId
from tests.support import factories
from tests.support.factories import NOW
from tests.unit.services.world import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    prepare(tmp_path / "happy.sqlite", NOW)
    async with open_store(tmp_path / "happy.sqlite", "NORMAL") as store:
        yield World(store)


@pytest.fixture
async def owner(world: World) -> AccountId:
    return await factories.account(world.store)
