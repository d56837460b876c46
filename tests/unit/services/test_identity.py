"""Many who come at once are looked for together, and each gets an answer of its own."""

import asyncio
from typing import Any

import pytest

from happy.crypto import Keyring
from happy.domain.errors import Unauthenticated, Unavailable
from happy.domain.values import AccountId
from happy.metrics import Metrics
from happy.services.identity import IdentityService, build_identity
from tests.support import factories
from tests.support.factories import NOBODY, NOW
from tests.unit.services.world import World

TOKENS = Keyring("a secret for tests").tokens


class Counting:
    """The store, and how often it was read."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.reads = 0
        self.error: BaseException | None = None

    async def read(self, body: Any) -> Any:
        self.reads += 1
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return await self._world.store.read(body)


@pytest.fixture
def store(world: World) -> Any:
    return Counting(world)


@pytest.fixture
def identity(store: Any) -> IdentityService:
    return build_identity(store, TOKENS, lambda: NOW, Metrics())


async def account_of(identity: IdentityService, token: str) -> str:
    return (await identity.identify(token)).account_id


async def test_many_concurrent_lookups_cost_two_queries(
    world: World, identity: IdentityService, store: Counting, owner: AccountId
) -> None:
    others = [await factories.account(world.store) for _ in range(20)]
    accounts = [owner, *others, NOBODY] * 10
    found = await asyncio.gather(
        *(account_of(identity, TOKENS.issue(account, NOW)) for account in accounts), return_exceptions=True
    )

    assert 2 == store.reads
    assert [account for account in accounts if account != NOBODY] == [
        account for account in found if not isinstance(account, BaseException)
    ]
    assert all(isinstance(error, Unauthenticated) for error in found if isinstance(error, BaseException))


async def test_an_unavailable_store_is_no_invalid_token(
    identity: IdentityService, store: Counting, owner: AccountId
) -> None:
    store.error = Unavailable("away")
    asking = (account_of(identity, TOKENS.issue(owner, NOW)) for _ in range(5))
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(error, Unavailable) for error in found)
    store.error = None

    assert owner == await account_of(identity, TOKENS.issue(owner, NOW))


async def test_a_cancelled_lookup_does_not_fail_the_others(
    identity: IdentityService, store: Counting, owner: AccountId
) -> None:
    store.error = asyncio.CancelledError()
    asking = (account_of(identity, TOKENS.issue(owner, NOW)) for _ in range(3))
    found = await asyncio.gather(*asking, return_exceptions=True)

    assert {asyncio.CancelledError, Unavailable} == {type(error) for error in found}
