"""What accounts store, as the rows of their sessions count it."""

from happy.domain.ports.repositories.storage import Growth, Stored
from happy.domain.ports.store import Store
from happy.domain.values import SessionId
from tests.support import factories


async def test_what_sessions_grew_by_is_added_up_for_their_account(store: Store) -> None:
    account, other = await factories.account(store), await factories.account(store)
    first, second = [(await factories.session(store, account)).id for _ in range(2)]
    foreign = (await factories.session(store, other)).id

    async def grow(*growths: Growth) -> None:
        await store.write(lambda tx: tx.storage.grow(growths))

    for size in (5_000_000_000, 7):
        await grow(Growth(first, size, 1), Growth(second, 3, 0), Growth(foreign, 1, 1))

    assert Stored(2, 5_000_000_013, 2) == await store.read(lambda tx: tx.storage.stored(account))
    assert Stored(1, 2, 2) == await store.read(lambda tx: tx.storage.stored(other))


async def test_an_account_without_sessions_stores_nothing(store: Store) -> None:
    account = await factories.account(store)
    await store.write(lambda tx: tx.storage.grow([Growth(SessionId("gone"), 1, 1)]))

    assert Stored(0, 0, 0) == await store.read(lambda tx: tx.storage.stored(account))
    assert not await store.read(lambda tx: tx.storage.has_sessions(account, 1))


async def test_an_account_has_so_many_sessions_or_more(store: Store) -> None:
    account, other = await factories.account(store), await factories.account(store)
    for owner in (account, account, other, account):
        await factories.session(store, owner)

    async def has(count: int) -> bool:
        return await store.read(lambda tx: tx.storage.has_sessions(account, count))

    assert [True, True, True, False] == [await has(count) for count in (0, 2, 3, 4)]
